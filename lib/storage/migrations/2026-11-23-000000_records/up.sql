-- A record's truth is its body (JSON); the other columns are what it is found by.
CREATE TABLE videos (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX videos_of_owner ON videos (owner, id);

CREATE TABLE conversions (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT,
    video TEXT NOT NULL,
    mp3 TEXT,
    state TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    announced BOOLEAN NOT NULL,
    published BOOLEAN NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX conversions_of_key ON conversions (owner, key) WHERE key IS NOT NULL;
CREATE INDEX conversions_of_owner ON conversions (owner, id);
CREATE INDEX conversions_of_video ON conversions (video);
CREATE INDEX conversions_of_mp3 ON conversions (mp3) WHERE mp3 IS NOT NULL;
CREATE INDEX conversions_in_turn ON conversions (state, created_at, id);
CREATE INDEX conversions_due ON conversions (state, not_before) WHERE state = 'queued';
CREATE INDEX conversions_unannounced ON conversions (state, created_at, id) WHERE NOT announced;
CREATE INDEX conversions_unpublished ON conversions (state, created_at, id) WHERE NOT published;

CREATE TABLE pending (
    file TEXT NOT NULL PRIMARY KEY,
    touched_at BIGINT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pending_by_silence ON pending (touched_at);
