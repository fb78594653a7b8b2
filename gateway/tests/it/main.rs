//! The gateway as its clients meet it: a real server over real stores in a temporary folder, and an
//! auth of the test's own that signs tokens.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod accounts;
mod api;
mod auth;
mod beside;
mod cors;
mod description;
mod http;
mod idempotency;
mod letters;
mod lifetimes;
mod limits;
mod mp3;
mod options;
mod revocations;
mod stack;
mod tokens;
mod uploads;
