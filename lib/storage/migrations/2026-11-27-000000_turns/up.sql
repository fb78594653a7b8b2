-- Who waits in a lane, and what of each owner's is first.
CREATE INDEX conversions_waiting ON conversions (lane, owner, created_at, id) WHERE state = 'queued';
