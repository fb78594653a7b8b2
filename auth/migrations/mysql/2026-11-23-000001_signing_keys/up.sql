CREATE TABLE IF NOT EXISTS signing_keys (
    generation BIGINT NOT NULL PRIMARY KEY,
    kid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    private_key VARBINARY(255) NOT NULL,
    public_key VARBINARY(255) NOT NULL,
    created_at BIGINT NOT NULL
) ENGINE = InnoDB;
