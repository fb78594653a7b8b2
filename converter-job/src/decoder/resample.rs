//! From the decoder's sample format, rate and channels to the encoder's.

use super::Stop;
use ffmpeg_next::{ChannelLayout, format::Sample, frame, software::resampling};

/// The form of sound.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Bytes, and whether channels stand apart.
    pub(super) format: Sample,
    /// Which speakers.
    pub(super) layout: ChannelLayout,
    /// Samples a second.
    pub(super) rate: u32,
}

impl Shape {
    /// The shape of a frame; channels in no known order are taken in the usual one.
    pub(super) fn of(frame: &frame::Audio) -> Self {
        let channels = i32::from(frame.channels());
        let known = frame.channel_layout();
        let layout =
            if known.channels() == channels { known } else { ChannelLayout::default(channels) };
        Self { format: frame.format(), layout, rate: frame.rate() }
    }
}

/// Samples of room beyond what the rates say, for what the filter still holds.
const ROOM: usize = 256;
/// Samples taken at a time from the filter at the end.
const REST: usize = 4096;

/// Converts frames of one shape to another; of the same shape it does nothing.
pub(super) struct Resampler {
    from: Shape,
    to: Shape,
    filter: Option<resampling::Context>,
}

impl Resampler {
    pub(super) fn new(from: Shape, to: Shape) -> Result<Self, Stop> {
        let same = from == to;
        let filter = || {
            resampling::Context::get(
                from.format,
                from.layout,
                from.rate,
                to.format,
                to.layout,
                to.rate,
            )
            .map_err(|error| Stop::trouble("no resampler", error))
        };
        Ok(Self { from, to, filter: if same { None } else { Some(filter()?) } })
    }

    pub(super) const fn from(&self) -> &Shape {
        &self.from
    }

    /// Converts a frame of shape `from` and gives the result to `take`.
    pub(super) fn convert(
        &mut self,
        frame: &mut frame::Audio,
        take: impl FnOnce(&frame::Audio) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let Some(filter) = &mut self.filter else {
            return take(frame);
        };
        frame.set_channel_layout(self.from.layout);
        let held = filter.delay().map_or(0, |delay| usize::try_from(delay.output).unwrap_or(0));
        let grown = frame.samples() as u64 * u64::from(self.to.rate) / u64::from(self.from.rate);
        let room = usize::try_from(grown).unwrap_or(0) + held + ROOM;
        let mut converted = empty(self.to, room)?;
        filter
            .run(frame, &mut converted)
            .map_err(|error| Stop::trouble("resampling failed", error))?;
        take(&converted)
    }

    /// Gives to `take` what the filter still holds.
    pub(super) fn finish(
        mut self,
        mut take: impl FnMut(&frame::Audio) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let Some(filter) = &mut self.filter else {
            return Ok(());
        };
        loop {
            let mut rest = empty(self.to, REST)?;
            filter.flush(&mut rest).map_err(|error| Stop::trouble("resampling failed", error))?;
            if rest.samples() == 0 {
                return Ok(());
            }
            take(&rest)?;
        }
    }
}

/// A frame with room for `samples`.
pub(super) fn empty(shape: Shape, samples: usize) -> Result<frame::Audio, Stop> {
    let mut frame = frame::Audio::new(shape.format, samples, shape.layout);
    frame.set_rate(shape.rate);
    // Without memory it has no planes, and touching one would panic.
    if frame.planes() == 0 { Err(Stop::Memory) } else { Ok(frame) }
}
