-- By name and not by account: a name that nobody has is counted like any other.
CREATE TABLE IF NOT EXISTS login_failures (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    failures BIGINT NOT NULL,
    failed_at BIGINT NOT NULL,
    PRIMARY KEY (name, address),
    INDEX login_failures_by_age (failed_at)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS known_addresses (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    succeeded_at BIGINT NOT NULL,
    PRIMARY KEY (name, address)
) ENGINE = InnoDB;
