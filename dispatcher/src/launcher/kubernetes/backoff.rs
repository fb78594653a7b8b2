//! How long to wait before a broken watch is set up again. kube's own wait grows to a minute; for so
//! long after the API server is back, ended Jobs would go on counting against the limit.

use kube::runtime::utils::Backoff;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// From 0.2 s, doubled up to 5 s, and from the beginning after each success.
pub(super) struct Growing(Duration);

impl Growing {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }
}

impl Iterator for Growing {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        Some(wait)
    }
}

impl Backoff for Growing {
    fn reset(&mut self) {
        *self = Self::new();
    }
}
