ALTER TABLE accounts DROP COLUMN epoch_raised_at;
ALTER TABLE accounts DROP COLUMN epoch;
ALTER TABLE accounts DROP COLUMN deleted;
