-- Who goes first when a slot is free, and which batch a conversion is part of.
ALTER TABLE conversions ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN batch TEXT;
DROP INDEX conversions_in_turn;
CREATE INDEX conversions_in_turn ON conversions (state, lane, created_at, id);
CREATE INDEX conversions_of_batch ON conversions (batch, state) WHERE batch IS NOT NULL;

-- What operators switch and ask for.
CREATE TABLE control (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    open BOOLEAN NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX control_open ON control (id) WHERE open;
