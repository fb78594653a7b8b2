CREATE TABLE signing_keys (
    generation INTEGER PRIMARY KEY NOT NULL,
    kid TEXT NOT NULL UNIQUE,
    private_key BLOB NOT NULL,
    public_key BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
