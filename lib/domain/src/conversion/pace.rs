//! How fast an attempt goes, and how long it will still take.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The pace of an attempt at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The multiple of real time, in hundredths.
    pub hundredths: u32,
    /// Until the end, if it goes on like this.
    pub seconds_left: u32,
}

impl Pace {
    /// The pace of work that began so long ago, has converted so many milliseconds of sound, and is
    /// done to so many percent. None while that says nothing yet.
    pub fn of(since: Duration, sound_ms: u64, percent: u8) -> Option<Self> {
        let ms = u64::try_from(since.as_millis()).ok().filter(|ms| *ms >= 500)?;
        let percent = u64::from(percent.min(100));
        if percent == 0 || sound_ms == 0 {
            return None;
        }
        let hundredths = sound_ms.saturating_mul(100) / ms;
        let left_ms = ms.saturating_mul(100 - percent) / percent;
        Some(Self {
            hundredths: u32::try_from(hundredths).unwrap_or(u32::MAX),
            seconds_left: u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX),
        })
    }

    /// The multiple of real time.
    pub fn speed(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_in_ten_seconds_leaves_thirty() {
        let pace = Pace::of(Duration::from_secs(10), 300_000, 25).unwrap();
        assert_eq!(pace, Pace { hundredths: 3_000, seconds_left: 30 });
        assert!((pace.speed() - 30.0).abs() < f64::EPSILON);
        assert_eq!(Pace::of(Duration::from_secs(10), 300_000, 100).unwrap().seconds_left, 0);
    }

    #[test]
    fn what_says_nothing_yet_gives_no_pace() {
        let second = Duration::from_secs(1);
        assert_eq!(Pace::of(second, 1000, 0), None);
        assert_eq!(Pace::of(second, 0, 10), None);
        assert_eq!(Pace::of(Duration::ZERO, 1000, 10), None);
        assert!(Pace::of(Duration::MAX, u64::MAX, 1).is_none());
        assert_eq!(
            Pace::of(Duration::from_secs(1 << 40), u64::MAX, 1).unwrap().seconds_left,
            u32::MAX
        );
    }
}
