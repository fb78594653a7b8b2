//! What every process starts with: its configuration, its log, one TLS provider, one shutdown.

#[cfg(feature = "admin")]
pub mod admin;
pub mod config;
mod shutdown;
mod telemetry;

pub use shutdown::shutdown_on_signal;
pub use telemetry::{LogFormat, init};
