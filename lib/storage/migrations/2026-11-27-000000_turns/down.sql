DROP INDEX conversions_waiting;
ALTER TABLE conversions DROP COLUMN video_bytes;
