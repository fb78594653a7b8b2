//! From the decoder's sample format, rate and channels to the encoder's.

use super::Stop;
use ffmpeg_next::{ChannelLayout, Dictionary, format::Sample, frame, software::resampling};

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

/// What channels at full scale add up to at most when they are mixed. Of whole numbers the default is
/// 1, but their coefficients are rounded and may come to more, which wraps around; of floats there is
/// no limit.
const MIXED: &str = "0.999";
/// Samples of room beyond what the rates say, for what the filter still holds.
const ROOM: usize = 256;
/// Samples taken at a time from the filter at the end.
const REST: usize = 4096;

/// Converts frames of one shape to another; of the same shape it does nothing.
struct Resampler {
    from: Shape,
    to: Shape,
    filter: Option<resampling::Context>,
}

impl Resampler {
    fn new(from: Shape, to: Shape) -> Result<Self, Stop> {
        let same = from == to;
        let filter = || {
            let mut options = Dictionary::new();
            options.set("rematrix_maxval", MIXED);
            resampling::Context::get_with(
                from.format,
                from.layout,
                from.rate,
                to.format,
                to.layout,
                to.rate,
                options,
            )
            .map_err(|error| Stop::trouble("no resampler", error))
        };
        Ok(Self { from, to, filter: if same { None } else { Some(filter()?) } })
    }

    /// Converts a frame of shape `from` and gives the result to `take`.
    fn convert(
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
    fn finish(
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

/// Brings frames of whatever shapes into one.
pub(super) struct Shaper {
    to: Shape,
    resampler: Option<Resampler>,
}

impl Shaper {
    pub(super) const fn new(to: Shape) -> Self {
        Self { to, resampler: None }
    }

    /// Gives a frame to `take` in the new shape. Its old one may differ from that of the frame before.
    pub(super) fn push(
        &mut self,
        frame: &mut frame::Audio,
        take: &mut impl FnMut(&frame::Audio) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let shape = Shape::of(frame);
        let resampler = match self.resampler.take() {
            Some(resampler) if resampler.from == shape => resampler,
            before => {
                before.map_or(Ok(()), |before| before.finish(&mut *take))?;
                Resampler::new(shape, self.to)?
            }
        };
        self.resampler.insert(resampler).convert(frame, take)
    }

    /// Gives to `take` what is still held.
    pub(super) fn finish(
        self,
        take: &mut impl FnMut(&frame::Audio) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.resampler.map_or(Ok(()), |resampler| resampler.finish(take))
    }
}

/// A frame with room for `samples`.
pub(super) fn empty(shape: Shape, samples: usize) -> Result<frame::Audio, Stop> {
    let mut frame = frame::Audio::new(shape.format, samples, shape.layout);
    frame.set_rate(shape.rate);
    // Without memory it has no planes, and touching one would panic.
    if frame.planes() == 0 { Err(Stop::Memory) } else { Ok(frame) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffmpeg_next::format::sample::Type::Planar;

    /// What becomes of samples of this value in each channel; the first sample of each plane.
    fn mixed<T: frame::audio::Sample + Copy>(
        format: Sample,
        values: &[T],
        from: ChannelLayout,
        to: ChannelLayout,
    ) -> Vec<T> {
        let shape = |layout| Shape { format, layout, rate: 48_000 };
        let mut resampler = Resampler::new(shape(from), shape(to)).unwrap();
        let mut frame = empty(shape(from), 64).unwrap();
        for (plane, value) in values.iter().enumerate() {
            frame.plane_mut::<T>(plane).fill(*value);
        }
        let mut mixed = Vec::new();
        let take = |frame: &frame::Audio| {
            mixed.extend((0..frame.planes()).map(|plane| frame.plane::<T>(plane)[0]));
            Ok(())
        };
        resampler.convert(&mut frame, take).unwrap();
        mixed
    }

    const FLOAT: Sample = Sample::F32(Planar);

    #[test]
    fn surround_at_full_scale_stays_within_it() {
        for from in [ChannelLayout::_5POINT1, ChannelLayout::_7POINT1, ChannelLayout::STEREO] {
            let channels = usize::try_from(from.channels()).unwrap();
            for to in [ChannelLayout::STEREO, ChannelLayout::MONO] {
                let floats = mixed(FLOAT, &vec![1.0_f32; channels], from, to);
                assert!(floats.iter().all(|value| (0.9989..=1.0).contains(value)), "{floats:?}");
                let whole = mixed(Sample::I16(Planar), &vec![i16::MAX; channels], from, to);
                assert!(whole.iter().all(|value| *value > 32_700), "{whole:?}");
                let whole = mixed(Sample::I16(Planar), &vec![i16::MIN; channels], from, to);
                assert!(whole.iter().all(|value| *value < -32_700), "{whole:?}");
            }
        }
    }

    #[test]
    fn surround_is_mixed_by_the_standard_coefficients() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        // Left, right, centre, low frequencies, and the two behind or beside.
        let shares = [(1.0, 0.0), (0.0, 1.0), (half, half), (0.0, 0.0), (half, 0.0), (0.0, half)];
        for from in [ChannelLayout::_5POINT1, ChannelLayout::_5POINT1_BACK] {
            for (channel, (left, right)) in shares.into_iter().enumerate() {
                let mut alone = [0.0_f32; 6];
                alone[channel] = 1.0;
                let all = (1.0 + 2.0 * half) / 0.999;
                let stereo = mixed(FLOAT, &alone, from, ChannelLayout::STEREO);
                for (have, want) in stereo.into_iter().zip([left, right]) {
                    assert!((have - want / all).abs() < 1e-6, "channel {channel}: {have}");
                }
            }
        }
        let mono = mixed(FLOAT, &[1.0_f32, 0.5], ChannelLayout::STEREO, ChannelLayout::MONO);
        assert!((mono[0] - 0.75 * 0.999).abs() < 1e-6, "{mono:?}");
    }
}
