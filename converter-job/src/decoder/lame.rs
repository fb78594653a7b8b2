//! LAME, set up as the `ffmpeg` command sets it up, and the sound that it takes.

use super::resample::Shape;
use domain::Preset;
use ffmpeg_next::{
    ChannelLayout, Error, Rational, codec, encoder,
    format::{
        Sample,
        sample::Type::{Packed, Planar},
    },
};

/// Sample rates that MP3 has, in the order in which equally near ones win.
const RATES: [u32; 9] = [44_100, 48_000, 32_000, 22_050, 24_000, 16_000, 11_025, 12_000, 8_000];
/// libavutil's unit of quality.
const QUALITY_UNIT: usize = 118;
/// Opens LAME for sound of this shape.
pub(super) fn open(preset: Preset, shape: Shape) -> Result<encoder::audio::Encoder, Error> {
    let codec = encoder::find_by_name("libmp3lame").ok_or(Error::EncoderNotFound)?;
    let mut encoder = codec::Context::new_with_codec(codec).encoder().audio()?;
    encoder.set_rate(shape.rate.cast_signed());
    encoder.set_format(shape.format);
    encoder.set_channel_layout(shape.layout);
    encoder.set_time_base(Rational::new(1, shape.rate.cast_signed()));
    match quality(preset) {
        Quality::Variable(level) => {
            encoder.set_flags(codec::Flags::QSCALE);
            encoder.set_quality(level * QUALITY_UNIT);
        }
        Quality::Constant(kilobits) => encoder.set_bit_rate(kilobits * 1000),
    }
    encoder.open_as(codec)
}

/// How LAME is told.
enum Quality {
    /// Its level of variable bit rate, 0 the best.
    Variable(usize),
    /// Kilobits a second.
    Constant(usize),
}

const fn quality(preset: Preset) -> Quality {
    match preset {
        Preset::V0 => Quality::Variable(0),
        Preset::V2 => Quality::Variable(2),
        Preset::V4 => Quality::Variable(4),
        Preset::Cbr320 => Quality::Constant(320),
        Preset::Cbr256 => Quality::Constant(256),
        Preset::Cbr192 => Quality::Constant(192),
        Preset::Cbr128 => Quality::Constant(128),
    }
}

/// The nearest shape that LAME takes.
pub(super) fn target(from: Shape) -> Shape {
    let rate = RATES.into_iter().min_by_key(|rate| rate.abs_diff(from.rate)).unwrap_or(from.rate);
    let mono = from.layout.channels() == 1;
    let layout = if mono { ChannelLayout::MONO } else { ChannelLayout::STEREO };
    let format = match from.format {
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
            assert!(target(plain) == plain, "{rate} Hz");
        }
    }

    #[test]
    fn other_sound_becomes_the_nearest() {
        let becomes = |from, to| assert!(target(from) == to);
        becomes(shape(Sample::I16(Packed), 6, 96_000), shape(Sample::I16(Planar), 2, 48_000));
        becomes(shape(Sample::U8(Packed), 1, 8_000), shape(Sample::I16(Planar), 1, 8_000));
        becomes(shape(Sample::F64(Packed), 3, 37_800), shape(Sample::I32(Planar), 2, 32_000));
    }
}
