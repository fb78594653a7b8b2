//! HTTP in and out: uploads go to storage as they arrive, records and MP3s come back.
//!
//! The first service on a video's way. What must hold: *accepted* means that the record is
//! committed; no video or MP3 is ever whole in memory; whoever asks is known from a token that is
//! verified here with public keys only, or by auth; what belongs to somebody else does not exist.

mod announcement;
mod auth;
mod body;
mod client;
mod config;
mod connection;
mod context;
mod cors;
mod disposition;
mod error;
mod forecast;
mod form;
mod idempotency;
mod identity;
mod kept;
mod keys;
mod limits;
mod options;
mod page;
mod patience;
mod range;
mod revocations;
mod routes;
mod server;
mod upload;
mod view;
mod watch;

pub use client::TrustedProxies;
pub use config::{Config, HttpConfig};
pub use cors::Origins;
pub use server::{Server, StartError};
