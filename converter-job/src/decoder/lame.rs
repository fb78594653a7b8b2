//! LAME, set up as the `ffmpeg` command sets it up, and the sound that it takes.

use super::{Stop, resample::Shape};
use domain::{Channels, Coding, Options, SampleRate};
use ffmpeg_next::{
    ChannelLayout, Dictionary, Error, Packet, Rational, codec, encoder,
    error::EAGAIN,
    format::{
        Sample,
        sample::Type::{Packed, Planar},
    },
    frame,
};

/// Sample rates that MP3 has, in the order in which equally near ones win.
const RATES: [u32; 9] = [44_100, 48_000, 32_000, 22_050, 24_000, 16_000, 11_025, 12_000, 8_000];
/// Samples that LAME puts before the sound.
pub(super) const DELAY: u64 = 576;
/// libavutil's unit of quality.
const QUALITY_UNIT: usize = 118;

/// How LAME is to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuning {
    /// The bit rate, or the quality.
    coding: Coding,
    /// Whether each of two channels is for itself.
    apart: bool,
    /// Whether a frame may use bits that frames before it have saved. With it no frame can be told
    /// from the sound around it alone.
    pub(super) reservoir: bool,
}

impl Tuning {
    /// What suits a bit rate best. Without the reservoir several threads may encode, and at the highest
    /// constant rates that costs what can be measured: 1.1 dB of noise at 320 kbit/s and 0.3 at 256,
    /// 0.2 and less below.
    pub(super) fn of(options: &Options, serial: bool) -> Self {
        let coding = options.coding();
        let reservoir = serial || matches!(coding, Coding::Constant(256..));
        Self { coding, apart: options.channels() == Some(Channels::Stereo), reservoir }
    }
}

/// One LAME: samples in, packets out.
pub(super) struct Lame(encoder::audio::Encoder);

impl Lame {
    pub(super) fn open(tuning: Tuning, shape: Shape) -> Result<Self, Stop> {
        let encoder = open(tuning, shape);
        encoder.map(Self).map_err(|error| Stop::trouble("the encoder cannot be opened", error))
    }

    /// Samples in one MP3 frame.
    pub(super) fn step(&self) -> usize {
        self.0.frame_size() as usize
    }

    /// Encodes the sound of one MP3 frame; only the last may be shorter.
    pub(super) fn encode(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        self.0.send_frame(frame).map_err(|error| Stop::trouble("encoding failed", error))
    }

    /// Nothing comes after this.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        let ended = self.0.send_eof();
        ended.map_err(|error| Stop::trouble("the MP3 cannot be completed", error))
    }

    /// The next packet that is ready.
    pub(super) fn packet(&mut self) -> Result<Option<Packet>, Stop> {
        let mut packet = Packet::empty();
        match self.0.receive_packet(&mut packet) {
            Ok(()) => Ok(Some(packet)),
            Err(Error::Eof | Error::Other { errno: EAGAIN }) => Ok(None),
            Err(error) => Err(Stop::trouble("encoding failed", error)),
        }
    }
}

fn open(tuning: Tuning, shape: Shape) -> Result<encoder::audio::Encoder, Error> {
    let codec = encoder::find_by_name("libmp3lame").ok_or(Error::EncoderNotFound)?;
    let mut encoder = codec::Context::new_with_codec(codec).encoder().audio()?;
    encoder.set_rate(shape.rate.cast_signed());
    encoder.set_format(shape.format);
    encoder.set_channel_layout(shape.layout);
    encoder.set_time_base(Rational::new(1, shape.rate.cast_signed()));
    match tuning.coding {
        Coding::Variable(level) => {
            encoder.set_flags(codec::Flags::QSCALE);
            encoder.set_quality(usize::from(level) * QUALITY_UNIT);
        }
        Coding::Constant(kilobits) => encoder.set_bit_rate(usize::from(kilobits) * 1000),
    }
    let mut options = Dictionary::new();
    options.set("joint_stereo", if tuning.apart { "0" } else { "1" });
    options.set("reservoir", if tuning.reservoir { "1" } else { "0" });
    encoder.open_as_with(codec, options)
}

/// The shape that is asked for, or else the nearest that LAME takes.
pub(super) fn target(from: Shape, options: &Options) -> Shape {
    let nearest = || RATES.into_iter().min_by_key(|rate| rate.abs_diff(from.rate));
    let rate = options.sample_rate.map(SampleRate::hertz).or_else(nearest).unwrap_or(from.rate);
    let mono = match options.channels() {
        Some(channels) => channels == Channels::Mono,
        None => from.layout.channels() == 1,
    };
    let layout = if mono { ChannelLayout::MONO } else { ChannelLayout::STEREO };
    let format = match from.format {
        // A gain takes more than 16 bits.
        _ if options.goal().is_some() => Sample::F32(Planar),
        Sample::U8(_) | Sample::I16(_) => Sample::I16(Planar),
        Sample::F32(Packed | Planar) => Sample::F32(Planar),
        _ => Sample::I32(Planar),
    };
    Shape { format, layout, rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(format: Sample, channels: i32, rate: u32) -> Shape {
        Shape { format, layout: ChannelLayout::default(channels), rate }
    }

    #[test]
    fn sound_that_lame_takes_is_left_as_it_is() {
        for rate in RATES {
            let plain = shape(Sample::F32(Planar), 2, rate);
            assert!(target(plain, &Options::default()) == plain, "{rate} Hz");
        }
    }

    #[test]
    fn other_sound_becomes_the_nearest() {
        let becomes = |from, to| assert!(target(from, &Options::default()) == to);
        becomes(shape(Sample::I16(Packed), 6, 96_000), shape(Sample::I16(Planar), 2, 48_000));
        becomes(shape(Sample::U8(Packed), 1, 8_000), shape(Sample::I16(Planar), 1, 8_000));
        becomes(shape(Sample::F64(Packed), 3, 37_800), shape(Sample::I32(Planar), 2, 32_000));
    }

    #[test]
    fn what_is_asked_for_wins() {
        let options = Options {
            channels: Some(Channels::Mono),
            sample_rate: Some("22050".parse().unwrap()),
            ..Options::default()
        };
        let from = shape(Sample::F32(Planar), 2, 48_000);
        assert!(target(from, &options) == shape(Sample::F32(Planar), 1, 22_050));
        let options = Options { channels: Some(Channels::Joint), ..Options::default() };
        let from = shape(Sample::F32(Planar), 1, 48_000);
        assert!(target(from, &options) == shape(Sample::F32(Planar), 2, 48_000));
    }
}
