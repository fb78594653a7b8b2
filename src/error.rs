//! Why a command did not do what it was asked, in words for the person who typed it: what happened,
//! why, and what to do.

use crate::client;

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The call was wrong; nothing was done.
    #[error("{0}")]
    Usage(String),
    /// The environment was wrong; nothing was done.
    #[error(transparent)]
    Config(#[from] process::config::Faults),
    /// The server could not be asked, or said no.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// Something else failed.
    #[error("{0}")]
    Failed(String),
    /// Some of several files failed; each has been told.
    #[error("{failed} of {all} files failed")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// A signal ended it.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Anything that has no kind of its own.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// The process's exit code.
    pub(crate) const fn exit(&self) -> u8 {
        match self {
            Self::Client(client::Error::NotSignedIn(_)) => 4,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Interrupted => 130,
            Self::Client(_) | Self::Failed(_) | Self::Some { .. } => 1,
        }
    }
}
