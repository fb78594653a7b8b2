//! The sound as it lies in time: decoded frames, with silence where their timestamps leave gaps.

use super::{
    Stop,
    gaps::Gaps,
    resample::{Shape, empty},
    sound::Sound,
};
use ffmpeg_next::{format::Sample, frame};

/// The most samples of silence in one frame.
const SILENT_FRAME: u64 = 4096;

/// A track and the silence in it.
pub(super) struct Timeline {
    sound: Sound,
    gaps: Gaps,
    /// Samples of silence that go before the frame that waits for them.
    silence: u64,
    waiting: Option<frame::Audio>,
}

impl Timeline {
    pub(super) fn new(sound: Sound) -> Self {
        let gaps = Gaps::new(sound.packets().start());
        Self { sound, gaps, silence: 0, waiting: None }
    }

    /// The next frame, decoded or of silence; false at the end.
    pub(super) fn next(&mut self, frame: &mut frame::Audio) -> Result<bool, Stop> {
        if self.waiting.is_none() {
            if !self.sound.next(frame)? {
                return Ok(false);
            }
            let (samples, rate) = (frame.samples() as u64, u64::from(frame.rate()));
            let lasts = i64::try_from(samples * 1_000_000_000 / rate).unwrap_or(i64::MAX);
            let silence = self.gaps.before(self.sound.time_of(frame), lasts);
            self.silence = silence.max(0).cast_unsigned() / 1000 * rate / 1_000_000;
            if self.silence > 0 {
                self.waiting = Some(std::mem::replace(frame, frame::Audio::empty()));
            }
        }
        if let Some(waiting) = &self.waiting {
            let count = self.silence.min(SILENT_FRAME);
            self.silence -= count;
            *frame = match count {
                0 => self.waiting.take().unwrap_or_else(frame::Audio::empty),
                count => silent(waiting, count)?,
            };
        }
        self.sound.count(frame).map(|()| true)
    }

    pub(super) const fn sound(&self) -> &Sound {
        &self.sound
    }

    /// At the end: how much of what the file declared has not come.
    pub(super) fn shortfall(&self) -> Option<String> {
        self.sound.packets().shortfall(self.gaps.end())
    }

    /// Seconds of gaps that were not filled.
    pub(super) const fn closed_seconds(&self) -> i64 {
        self.gaps.closed_seconds()
    }
}

/// Silence of the same shape as a frame.
fn silent(like: &frame::Audio, samples: u64) -> Result<frame::Audio, Stop> {
    let shape = Shape::of(like);
    let mut frame = empty(shape, usize::try_from(samples).unwrap_or(0))?;
    let level = if matches!(shape.format, Sample::U8(_)) { 0x80 } else { 0 };
    for plane in 0..frame.planes() {
        frame.data_mut(plane).fill(level);
    }
    Ok(frame)
}
