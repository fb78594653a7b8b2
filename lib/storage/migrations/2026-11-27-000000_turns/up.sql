-- Who waits in a lane, what of each owner's is first, and how much it is.
ALTER TABLE conversions ADD COLUMN video_bytes BIGINT NOT NULL
    AS (COALESCE(json_extract(body, '$.video_bytes'), 0)) VIRTUAL;
CREATE INDEX conversions_waiting ON conversions (lane, owner, created_at, id, video_bytes)
WHERE state = 'queued';
