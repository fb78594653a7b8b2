//! What timestamps say between the frames of a track: silence where sound is missing, within limits.
//!
//! Silence keeps the sound in step with the pictures, and costs a file nothing to ask for: so a gap
//! is filled up to a few seconds, all of them up to the time of real sound. What is beyond is closed
//! up. Timestamps that go back are passed over: every sample is kept, none comes twice.

/// The most silence for one gap.
const LONGEST: i64 = 5_000_000_000;
/// Less than this is no gap: timestamps are rounded, and containers sloppy.
const SHORTEST: i64 = 100_000_000;
/// A gap opens between two frames. Timestamps that run away by less are a clock that goes wrong.
const JUMP: i64 = 10_000_000;

/// Follows the frames of one track. All times are in nanoseconds.
pub(super) struct Gaps {
    /// When the next frame should be: the container's start before the first.
    due: Option<i64>,
    /// When it would be by the last frame's own timestamp.
    follows: Option<i64>,
    /// Real sound so far.
    decoded: i64,
    /// Silence so far, without that before the first frame.
    filled: i64,
    /// Missing time that was left out.
    closed: i64,
}

impl Gaps {
    pub(super) const fn new(start: Option<i64>) -> Self {
        Self { due: start, follows: start, decoded: 0, filled: 0, closed: 0 }
    }

    /// The silence that goes before a frame that lies `at` some time, if that is known, and lasts so
    /// long.
    pub(super) fn before(&mut self, at: Option<i64>, lasts: i64) -> i64 {
        let due = self.due.or(at).unwrap_or(0);
        let at = at.unwrap_or(due);
        let gap = at.saturating_sub(due);
        let opens = at.saturating_sub(self.follows.unwrap_or(at)) >= JUMP;
        let (mut silence, mut next) = (0, due);
        if gap >= SHORTEST && opens {
            let first = self.decoded == 0;
            silence =
                gap.min(if first { LONGEST } else { LONGEST.min(self.decoded - self.filled) });
            self.filled += if first { 0 } else { silence };
            self.closed = self.closed.saturating_add(gap - silence);
            next = at;
        }
        self.due = Some(next.saturating_add(lasts));
        self.follows = Some(at.saturating_add(lasts));
        self.decoded = self.decoded.saturating_add(lasts);
        silence
    }

    /// Where the last frame ended.
    pub(super) fn end(&self) -> i64 {
        self.follows.unwrap_or(0)
    }

    /// Seconds that were left out.
    pub(super) const fn closed_seconds(&self) -> i64 {
        self.closed / 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// The silence before each frame of 100 ms at these milliseconds.
    fn silences(start: i64, frames: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut gaps = Gaps::new(Some(start * MS));
        frames.into_iter().map(|at| gaps.before(Some(at * MS), 100 * MS) / MS).collect()
    }

    #[test]
    fn sound_without_gaps_gets_no_silence() {
        assert_eq!(silences(0, [0, 100, 200]), [0; 3]);
        assert_eq!(silences(1400, [1420, 1520, 1580, 1750]), [0; 4]);
        // A clock that goes wrong by one in a hundred.
        assert_eq!(silences(0, (0..1000).map(|frame| frame * 101)), [0; 1000]);
    }

    #[test]
    fn small_gaps_are_filled_and_add_up() {
        assert_eq!(silences(0, [0, 100, 300, 400]), [0, 0, 100, 0]);
        assert_eq!(silences(0, [0, 150, 300]), [0, 0, 100]);
        assert_eq!(silences(100, [2100]), [2000]);
    }

    #[test]
    fn large_gaps_are_closed_up() {
        let hours = 36_000_000;
        let mut frames: Vec<i64> = (0..100).map(|frame| frame * 100).collect();
        frames.extend([hours, hours + 100, 2 * hours, 3 * hours, 4 * hours]);
        // Ten seconds of sound allow two times five.
        assert_eq!(silences(0, frames)[100..], [5000, 0, 5000, 300, 100]);
        assert_eq!(silences(0, [hours, hours + 100]), [5000, 0]);
    }

    #[test]
    fn timestamps_that_go_back_change_nothing() {
        assert_eq!(silences(0, [0, 100, 0, 100, 200]), [0; 5]);
        assert_eq!(silences(0, [0, i64::MIN / MS, 100, i64::MAX / MS]), [0, 0, 0, 300]);
        let mut gaps = Gaps::new(None);
        assert_eq!([gaps.before(None, MS), gaps.before(None, MS), gaps.closed_seconds()], [0; 3]);
    }
}
