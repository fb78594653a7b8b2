//! Loudness by EBU R128. A first walk measures the sound as it will be encoded; in the second one gain
//! brings it to its target, or as near as its true peak allows. Nothing is compressed.

use super::{Stop, resample::Shape};
use domain::{Decibels, Goal, Loudness};
use ebur128::{EbuR128, Error, Mode};
use ffmpeg_next::frame;

/// Measures sound in 32-bit floats, one plane for each channel.
pub(super) struct Meter(EbuR128);

impl Meter {
    /// A meter for sound of the shape of this frame.
    pub(super) fn open(first: &frame::Audio) -> Result<Self, Stop> {
        let shape = Shape::of(first);
        let channels = shape.layout.channels().cast_unsigned();
        let meter = EbuR128::new(channels, shape.rate, Mode::I | Mode::TRUE_PEAK);
        meter.map(Self).map_err(failed)
    }

    /// Takes the next samples.
    pub(super) fn push(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        let plane = |plane| frame.plane::<f32>(plane).get(..frame.samples());
        let planes: Option<Vec<_>> = (0..frame.planes()).map(plane).collect();
        self.0.add_frames_planar_f32(&planes.ok_or(Stop::Memory)?).map_err(failed)
    }

    /// What was measured, and the gain that brings it to its goal. None of silence.
    pub(super) fn finish(self, goal: Goal) -> Result<Option<Loudness>, Stop> {
        let integrated = self.0.loudness_global().map_err(failed)?;
        let peaks = (0..self.0.channels()).map(|channel| self.0.true_peak(channel));
        let peak = peaks.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let peak = 20.0 * peak.into_iter().fold(0.0, f64::max).log10();
        Ok(loudness(integrated, peak, goal))
    }
}

fn failed(error: Error) -> Stop {
    match error {
        Error::NoMem => Stop::Memory,
        error => Stop::Trouble(format!("the loudness cannot be measured: {error}")),
    }
}

/// Sound that has no loudness, or none that a number can tell, gets no gain.
fn loudness(integrated_lufs: f64, true_peak_dbtp: f64, goal: Goal) -> Option<Loudness> {
    let gain_db = (f64::from(goal.loudness) - integrated_lufs)
        .min(f64::from(goal.true_peak) - true_peak_dbtp);
    let number = |number: f64| Decibels::try_from(number).ok();
    Some(Loudness {
        integrated_lufs: number(integrated_lufs)?,
        true_peak_dbtp: number(true_peak_dbtp)?,
        gain_db: number(gain_db)?,
    })
}

/// What samples are multiplied by.
pub(super) fn factor(loudness: &Loudness) -> f32 {
    10_f64.powf(f64::from(loudness.gain_db) / 20.0) as f32
}

/// The furthest that a sample may go: 24 dB beyond full scale.
const FURTHEST: f32 = 16.0;

/// Multiplies floats, and makes numbers of them that LAME can work with: it ends the process over what
/// is none, or beyond all measure.
pub(super) fn amplify(samples: &mut [u8], factor: f32) {
    let (samples, _) = samples.as_chunks_mut();
    for sample in samples {
        let wanted = f32::from_ne_bytes(*sample) * factor;
        let number = if wanted.is_nan() { 0.0 } else { wanted };
        *sample = number.clamp(-FURTHEST, FURTHEST).to_ne_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: &str = "-16";

    fn gain(integrated: f64, peak: f64) -> Option<String> {
        let goal = Goal { loudness: GOAL.parse().unwrap(), true_peak: "-1".parse().unwrap() };
        loudness(integrated, peak, goal).map(|loudness| loudness.gain_db.to_string())
    }

    #[test]
    fn the_gain_meets_the_target_unless_the_peak_forbids_it() {
        assert_eq!(gain(-23.0, -10.0).as_deref(), Some("7"));
        assert_eq!(gain(-10.5, 0.2).as_deref(), Some("-5.5"));
        assert_eq!(gain(-23.0, -3.25).as_deref(), Some("2.25"));
        assert_eq!(gain(-16.0, 0.5).as_deref(), Some("-1.5"));
    }

    #[test]
    fn silence_and_nonsense_get_none() {
        for (integrated, peak) in [
            (f64::NEG_INFINITY, f64::NEG_INFINITY),
            (f64::NEG_INFINITY, -3.0),
            (f64::NAN, f64::NAN),
            (700.0, 700.0),
        ] {
            assert_eq!(gain(integrated, peak), None);
        }
    }

    #[test]
    fn samples_are_multiplied_where_they_lie() {
        let mut bytes = [0.5_f32, -0.25].map(f32::to_ne_bytes).concat();
        amplify(&mut bytes, 2.0);
        assert_eq!(bytes, [1.0_f32, -0.5].map(f32::to_ne_bytes).concat());
    }
}
