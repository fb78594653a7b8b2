//! Which samples of copied frames are the sound: all but those that the container has left out at its
//! beginning and its end.

use crate::decoder::header::{DECODER, LONGEST, Silence};

/// What a container says about a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Samples to be left out from here on.
    pub(super) skip: Option<u64>,
    /// Samples to be left out at its end.
    pub(super) discard: u64,
    /// All of it is there only to make what follows decodable.
    pub(super) is_outside: bool,
}

/// Follows the frames.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Samples that are still to be left out before the sound.
    skip: u64,
    /// Samples of copied frames before the sound, in it, and behind it.
    before: u64,
    sound: u64,
    behind: u64,
}

impl Ends {
    /// A packet comes.
    pub(super) fn begin(&mut self, told: &Told) {
        if let (Some(skip), 0) = (told.skip, self.sound) {
            self.skip = skip;
        }
        // What seemed to be the end was none.
        self.sound += self.behind;
        self.behind = 0;
    }

    /// Whether a frame of this packet is to be copied. Before the sound that is what the header can
    /// tell to be left out: enough for the decoder to begin with.
    pub(super) fn takes(&mut self, samples: u64, is_outside: bool) -> bool {
        if self.sound > 0 {
            self.sound += if is_outside { 0 } else { samples };
            return !is_outside;
        }
        let left_out = if is_outside { samples } else { self.skip.min(samples) };
        let is_far = self.skip > LONGEST + DECODER;
        self.skip = self.skip.saturating_sub(samples);
        if !is_far {
            self.before += left_out;
            self.sound += samples - left_out;
        }
        !is_far
    }

    /// A packet is over, and is `shortened` by so many samples or by what is told.
    pub(super) fn end(&mut self, told: &Told, shortened: u64) {
        self.behind = told.discard.max(shortened).min(self.sound);
        self.sound -= self.behind;
    }

    pub(super) const fn has_sound(&self) -> bool {
        self.sound + self.behind > 0
    }

    /// Milliseconds of sound.
    pub(super) fn sound_ms(&self, rate: u32) -> u64 {
        let shown = if self.silence().is_some() { 0 } else { self.before + self.behind };
        (self.sound + shown) * 1000 / u64::from(rate)
    }

    /// For the header. A player leaves out its own delay at least: where there is less, nothing is
    /// left out.
    pub(super) fn silence(&self) -> Option<Silence> {
        let delay = self.before.checked_sub(DECODER)?;
        Some(Silence { delay, padding: self.behind + DECODER })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is copied of packets of one frame of 1152 samples, and what the header says.
    fn copied(packets: &[Told]) -> (Vec<bool>, u64, Option<(u64, u64)>) {
        let mut ends = Ends::default();
        let taken = packets.iter().map(|told| {
            ends.begin(told);
            let taken = ends.takes(1152, told.is_outside);
            ends.end(told, 0);
            taken
        });
        let taken = taken.collect();
        let silence = ends.silence().map(|silence| (silence.delay, silence.padding));
        (taken, ends.sound_ms(1000), silence)
    }

    const PLAIN: Told = Told { skip: None, discard: 0, is_outside: false };
    const OUTSIDE: Told = Told { is_outside: true, ..PLAIN };

    #[test]
    fn a_container_that_says_nothing_has_all_played() {
        assert_eq!(copied(&[PLAIN; 2]), (vec![true; 2], 2304, None));
        // Less than every player leaves out.
        let first = Told { skip: Some(528), ..PLAIN };
        assert_eq!(copied(&[first, PLAIN]), (vec![true; 2], 2304, None));
    }

    #[test]
    fn silence_at_both_ends_is_told() {
        let (first, last) = (Told { skip: Some(1105), ..PLAIN }, Told { discard: 191, ..PLAIN });
        let want = (vec![true; 3], 3 * 1152 - 1105 - 191, Some((576, 720)));
        assert_eq!(copied(&[first, PLAIN, last]), want);
        let all = (vec![true; 3], 3 * 1152 - 1105, Some((576, 529)));
        assert_eq!(copied(&[first, last, PLAIN]), all, "the end was none");
    }

    #[test]
    fn frames_far_ahead_of_the_sound_are_left_out() {
        let first = Told { skip: Some(10 * 1152), ..PLAIN };
        let (taken, ms, silence) = copied(&[&[first][..], &[PLAIN; 11]].concat());
        assert_eq!(taken.iter().filter(|taken| !**taken).count(), 6);
        assert_eq!((ms, silence), (2 * 1152, Some((4 * 1152 - 529, 529))));
    }

    #[test]
    fn what_lies_outside_is_no_sound() {
        let (taken, ms, silence) = copied(&[OUTSIDE, PLAIN, PLAIN, OUTSIDE]);
        assert_eq!(taken, [true, true, true, false]);
        assert_eq!((ms, silence), (2 * 1152, Some((1152 - 529, 529))));
        assert!(!Ends::default().has_sound());
    }
}
