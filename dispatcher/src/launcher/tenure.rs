//! Which of several dispatchers acts.

use std::time::Instant;
use tokio::sync::watch;

/// Whether this dispatcher is the one that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// Another one is, or it is not known yet which.
    Elsewhere,
    /// It is. Until then it may create jobs; none means for good. What it does besides is harmless
    /// should another one have begun.
    Here(Option<Instant>),
}

impl Tenure {
    /// Whether this is the one that acts.
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Whether it may create a job now.
    pub fn may_launch(self) -> bool {
        match self {
            Self::Elsewhere => false,
            Self::Here(until) => until.is_none_or(|until| Instant::now() < until),
        }
    }
}

/// Of the only one that there is.
pub(super) fn for_good() -> watch::Receiver<Tenure> {
    watch::channel(Tenure::Here(None)).1
}
