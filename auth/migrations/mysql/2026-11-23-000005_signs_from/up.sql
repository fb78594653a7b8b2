-- MySQL has no ADD COLUMN IF NOT EXISTS, and after a crash this file may run once more.
SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'signing_keys' AND column_name = 'signs_from');
SET @change = IF(@missing, 'ALTER TABLE signing_keys ADD COLUMN signs_from BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE change_keys FROM @change;
EXECUTE change_keys;
DEALLOCATE PREPARE change_keys;
