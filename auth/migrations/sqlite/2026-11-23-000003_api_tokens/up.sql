-- An account has as many slots as it may have tokens, so the limit holds whoever inserts at once.
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    account_id BIGINT NOT NULL,
    slot INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    UNIQUE (account_id, slot)
);
