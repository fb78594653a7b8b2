-- Messages that wait, and dead letters (dead_at is set). Times are milliseconds since 1970.
-- AUTOINCREMENT: an id is never used again, as a consumer may still hold the one that had it.
CREATE TABLE messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    visible_at BIGINT NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    dead_at BIGINT,
    reason TEXT
);
CREATE INDEX messages_waiting ON messages (topic, id, visible_at) WHERE dead_at IS NULL;
CREATE INDEX messages_dead ON messages (topic, id) WHERE dead_at IS NOT NULL;
