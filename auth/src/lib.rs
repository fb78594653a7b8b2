//! Accounts, passwords and tokens, over MySQL or SQLite.
