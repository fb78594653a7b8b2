//! HTTP in and out: uploads go to storage as they arrive, records and MP3s come back.
//!
//! The first service on a video's way. What must hold: *accepted* means that the record is
//! committed; no video or MP3 is ever whole in memory; whoever asks is known from a token that is
//! verified here, with public keys only; what belongs to somebody else does not exist.

mod announcement;
mod body;
mod config;
mod connection;
mod context;
mod disposition;
mod error;
mod form;
mod idempotency;
mod identity;
mod keys;
mod limits;
mod page;
mod patience;
mod range;
mod routes;
mod server;
mod upload;
mod view;
mod watch;

pub use config::{Config, HttpConfig};
pub use server::{Server, StartError};
