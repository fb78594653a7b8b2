//! From where to where the sound is wanted, exact to the sample.

use super::{
    Stop,
    resample::{Shape, empty},
};
use domain::{Moment, Options};
use ffmpeg_next::frame;
use std::{mem, ops::Range};

/// Follows the frames of the sound.
pub(super) struct Cut {
    start_ms: u64,
    end_ms: Option<u64>,
    /// Of the last frame.
    rate: u64,
    /// Samples so far, of that rate.
    passed: u64,
}

impl Cut {
    pub(super) fn of(options: &Options) -> Self {
        let start_ms = options.start.map_or(0, Moment::ms);
        Self { start_ms, end_ms: options.end.map(Moment::ms), rate: 1, passed: 0 }
    }

    /// The samples that are wanted of the next frame; none where no frame will be wanted any more.
    pub(super) fn wanted(&mut self, samples: usize, rate: u32) -> Option<Range<usize>> {
        let rate = u64::from(rate);
        let from = self.passed * rate / self.rate.max(1);
        (self.rate, self.passed) = (rate, from + samples as u64);
        let within = |ms: u64| {
            let at = (ms * rate / 1000).saturating_sub(from);
            usize::try_from(at).map_or(samples, |at| at.min(samples))
        };
        let end = self.end_ms.map_or(samples, within);
        (end > 0).then(|| within(self.start_ms).min(end)..end)
    }

    /// How long the sound was, where there was any.
    pub(super) fn passed_seconds(&self) -> Option<f64> {
        (self.passed > 0).then(|| self.passed as f64 / self.rate as f64)
    }
}

/// These samples of a frame: the frame itself where they are all of it.
pub(super) fn part(whole: &mut frame::Audio, samples: Range<usize>) -> Result<frame::Audio, Stop> {
    if samples == (0..whole.samples()) {
        return Ok(mem::replace(whole, frame::Audio::empty()));
    }
    let shape = Shape::of(whole);
    let mut part = empty(shape, samples.len())?;
    let together = if whole.is_packed() { usize::from(whole.channels()) } else { 1 };
    let width = shape.format.bytes() * together;
    for plane in 0..part.planes() {
        let bytes = whole.data(plane).get(samples.start * width..samples.end * width);
        let bytes = bytes.ok_or(Stop::Memory)?;
        part.data_mut(plane)[..bytes.len()].copy_from_slice(bytes);
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(start: Option<&str>, end: Option<&str>) -> Cut {
        let moment = |text: &str| text.parse().unwrap();
        Cut::of(&Options { start: start.map(moment), end: end.map(moment), ..Options::default() })
    }

    #[test]
    fn without_a_wish_all_is_wanted() {
        let mut cut = cut(None, None);
        assert_eq!(cut.wanted(1024, 48_000), Some(0..1024));
        assert_eq!(cut.wanted(1, 44_100), Some(0..1));
    }

    #[test]
    fn a_rate_that_changes_on_the_way_moves_nothing() {
        let mut cut = cut(Some("1"), Some("2"));
        assert_eq!(cut.wanted(24_000, 48_000), Some(24_000..24_000));
        assert_eq!(cut.wanted(44_100, 44_100), Some(22_050..44_100));
        assert_eq!(cut.wanted(8_000, 8_000), Some(0..4_000));
        assert_eq!(cut.wanted(8_000, 8_000), None);
    }

    proptest! {
        #[test]
        fn however_frames_fall_the_same_samples_are_wanted(
            start in 0..4000_u32,
            lasts in 1..4000_u32,
            rate in 8_000..192_000_u32,
            frames in prop::collection::vec(1..200_000_usize, 1..20),
        ) {
            let seconds = |ms: u32| (f64::from(ms) / 1000.0).to_string();
            let mut cut = cut(Some(&seconds(start)), Some(&seconds(start + lasts)));
            let at = |ms: u32| u64::from(ms) * u64::from(rate) / 1000;
            let (mut from, mut wanted) = (0, Vec::new());
            for samples in frames {
                let Some(range) = cut.wanted(samples, rate) else { break };
                if !range.is_empty() {
                    wanted.push(from + range.start as u64..from + range.end as u64);
                }
                from += samples as u64;
            }
            for pair in wanted.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            if from > at(start) {
                prop_assert_eq!(wanted[0].start, at(start));
                prop_assert_eq!(wanted[wanted.len() - 1].end, at(start + lasts).min(from));
            } else {
                prop_assert!(wanted.is_empty());
            }
        }
    }
}
