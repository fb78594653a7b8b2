-- A deleted account stays as a row, so that its name is never given again.
ALTER TABLE accounts ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE accounts ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN epoch_raised_at BIGINT NOT NULL DEFAULT 0;
