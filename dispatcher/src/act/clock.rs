//! A clock that went on while nobody could do anything.

use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// Less is no sleep; attempts show life more often.
const SLEEP: SignedDuration = SignedDuration::from_secs(2);

/// When the clock was looked at last. The monotonic one stands still while a machine sleeps.
pub(super) struct Clock {
    monotonic: Instant,
    wall: Timestamp,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// Whether the machine has slept since the last look, or the clock was set forward.
    pub(super) fn slept(&mut self, now: Timestamp) -> bool {
        let awake =
            SignedDuration::try_from(self.monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        let slept = now.duration_since(self.wall).saturating_sub(awake) > SLEEP;
        *self = Self { monotonic: Instant::now(), wall: now };
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_was_asleep() {
        let mut clock = Clock::now();
        assert!(!clock.slept(Timestamp::now()));
        let hour = SignedDuration::from_hours(1);
        assert!(clock.slept(Timestamp::now() + hour));
        assert!(!clock.slept(Timestamp::now() + hour));
        // Set back.
        assert!(!clock.slept(Timestamp::now()));
        assert!(!clock.slept(Timestamp::now() + SignedDuration::from_secs(1)));
    }
}
