//! The log of a process: text for people, JSON lines for machines, always to standard error.

use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    io::{self, IsTerminal},
    str::FromStr,
};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is text or json"),
        }
    }
}

/// Starts the log (`filter` as in `info,dispatcher=debug`), chooses the TLS provider, and takes as
/// many descriptors as the process may have: a thousand clients with a file each are more than the
/// usual 1024.
///
/// Calling it a second time in one process changes nothing.
pub fn init(filter: &str, format: LogFormat) {
    // Two providers in one tree panic at the first handshake unless one is chosen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = setrlimit(Resource::Nofile, files);
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")));
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
