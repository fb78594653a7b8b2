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
    /// One video could not be converted.
    #[error("{name} was not converted. {message} ({code})")]
    Video {
        /// Which.
        name: String,
        /// The stable code.
        code: String,
        /// One sentence.
        message: String,
    },
    /// Something else failed.
    #[error("{0}")]
    Failed(String),
    /// Some of several files failed; each has been told.
    #[error("{failed} of {all} {what} failed")]
    Some {
        /// Of what.
        what: &'static str,
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

    /// The stable code for scripts.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Video { code, .. } => code,
            Self::Client(client::Error::Refused { problem, .. }) => &problem.code,
            Self::Client(client::Error::NotSignedIn(_)) => "unauthorized",
            Self::Usage(_) | Self::Config(_) => "usage",
            Self::Client(_) | Self::Failed(_) | Self::Some { .. } => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The process's exit code.
    pub(crate) const fn exit(&self) -> u8 {
        match self {
            Self::Client(client::Error::NotSignedIn(_)) => 4,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Interrupted => 130,
            Self::Client(_) | Self::Video { .. } | Self::Failed(_) | Self::Some { .. } => 1,
        }
    }
}

/// What a call about several things comes to; each failure has been told where there were several.
/// Not being signed in is a kind of its own for scripts.
pub(crate) fn verdict(mut failed: Vec<Error>, all: usize, what: &'static str) -> Result<(), Error> {
    let weight = |error: &Error| match error {
        Error::Interrupted => 2,
        error => u8::from(error.exit() == 4),
    };
    failed.sort_by_key(|error| std::cmp::Reverse(weight(error)));
    match failed.len() {
        0 => Ok(()),
        some if all == 1 || weight(&failed[0]) > 0 || some > all => Err(failed.swap_remove(0)),
        some => Err(Error::Some { what, failed: some, all }),
    }
}
