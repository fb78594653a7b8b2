-- By name and not by account: a name that nobody has is counted like any other.
CREATE TABLE login_failures (
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    failures BIGINT NOT NULL,
    failed_at BIGINT NOT NULL,
    PRIMARY KEY (name, address)
);
CREATE INDEX login_failures_by_age ON login_failures (failed_at);
CREATE TABLE known_addresses (
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    succeeded_at BIGINT NOT NULL,
    PRIMARY KEY (name, address)
);
