-- What each user stores, and what goes when. The columns are made from the bodies, as always.
ALTER TABLE videos ADD COLUMN length BIGINT NOT NULL DEFAULT 0;
ALTER TABLE videos ADD COLUMN expires_at BIGINT;
UPDATE videos SET length = json_extract(body, '$.length');
CREATE INDEX videos_length ON videos (owner, length);
CREATE INDEX videos_expiring ON videos (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE conversions ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN expires_at BIGINT;
UPDATE conversions SET bytes = json_extract(body, '$.mp3.length') WHERE mp3 IS NOT NULL;
CREATE INDEX conversions_bytes ON conversions (owner, bytes) WHERE bytes > 0;
CREATE INDEX conversions_expiring ON conversions (expires_at) WHERE expires_at IS NOT NULL;
-- A state that is rare is found without a walk through the history.
CREATE INDEX conversions_in_state ON conversions (owner, state, id);
DROP INDEX conversions_of_video;
CREATE INDEX conversions_of_video ON conversions (video, id);
