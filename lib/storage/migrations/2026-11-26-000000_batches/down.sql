DROP TABLE control;
DROP INDEX conversions_of_batch;
DROP INDEX conversions_in_turn;
CREATE INDEX conversions_in_turn ON conversions (state, created_at, id);
ALTER TABLE conversions DROP COLUMN batch;
ALTER TABLE conversions DROP COLUMN lane;
