-- A deleted account stays as a row, so that its name is never given again.
-- MySQL has no ADD COLUMN IF NOT EXISTS, and after a crash this file may run once more.
SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'accounts' AND column_name = 'epoch');
SET @change = IF(@missing, 'ALTER TABLE accounts ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE, ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0, ADD COLUMN epoch_raised_at BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE change_accounts FROM @change;
EXECUTE change_accounts;
DEALLOCATE PREPARE change_accounts;
