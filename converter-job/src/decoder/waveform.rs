//! The waveform of the sound as it is encoded: both channels mixed, a lowest and a highest sample for
//! each stretch of time.
//!
//! How long the sound is shows only at its end, so the stretches grow: as soon as there are too many
//! pixels, each two become one. What is kept is bounded whatever comes.

mod pixels;

use super::Stop;
use crate::protocol::Drawn;
use domain::{Decibels, Waveform};
use ffmpeg_next::{format, frame};
use pixels::{Level, Pixels};

/// Samples of the shortest stretch.
const SHORTEST: usize = 256;

/// A waveform of frames of one shape.
pub(super) struct Drawing {
    pixels: Pixels,
    /// Samples a second.
    rate: u32,
    /// What a sample at full scale is.
    full: f32,
}

impl Drawing {
    /// Nothing yet of sound that has the shape of this frame.
    pub(super) fn begin(first: &frame::Audio) -> Self {
        let full = match first.format() {
            format::Sample::I16(_) => i16::FULL,
            format::Sample::I32(_) => i32::FULL,
            _ => f32::FULL,
        };
        let pixels = Pixels::new(SHORTEST, Waveform::MOST_PIXELS);
        Self { pixels, rate: first.rate(), full }
    }

    /// Takes the next samples.
    pub(super) fn push(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        match frame.format() {
            _ if frame.samples() == 0 => Ok(()),
            format::Sample::I16(_) => self.take::<i16>(frame),
            format::Sample::I32(_) => self.take::<i32>(frame),
            _ => self.take::<f32>(frame),
        }
    }

    fn take<T: Level + frame::audio::Sample>(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        let last = frame.planes().checked_sub(1).ok_or(Stop::Memory)?;
        // One channel alone is mixed with itself.
        let plane = |index| frame.plane::<T>(index).get(..frame.samples()).ok_or(Stop::Memory);
        self.pixels.push(plane(0)?, plane(last)?);
        Ok(())
    }

    /// The waveform after this gain.
    pub(super) fn finish(self, gain: f32) -> Drawn {
        let Self { pixels, rate, full } = self;
        let peak = f64::from(pixels.peak()) / f64::from(full) * f64::from(gain);
        // The mix is a sum of two.
        let (samples_per_pixel, data) = pixels.finish(gain / full / 2.0);
        Drawn {
            waveform: Waveform::new(rate, samples_per_pixel, data),
            peak: Decibels::try_from(20.0 * peak.log10()).ok(),
        }
    }
}
