DROP INDEX conversions_waiting;
