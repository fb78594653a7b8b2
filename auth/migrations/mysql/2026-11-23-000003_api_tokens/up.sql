-- An account has as many slots as it may have tokens, so the limit holds whoever inserts at once.
CREATE TABLE IF NOT EXISTS api_tokens (
    id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    slot INTEGER NOT NULL,
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    sha256 BINARY(32) NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    UNIQUE (account_id, slot)
) ENGINE = InnoDB;
