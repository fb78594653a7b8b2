//! What the decoder says beside the MP3. It may have been taken over, so numbers are held to what they
//! can be, and texts to a length.

use super::printable;
use bytes::{Buf, BufMut, Bytes};
use domain::{BadOption, Decibels, Loudness, Origin, Waveform};
use serde::{Deserialize, Serialize};

/// Of the sound that is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The file that it comes from.
    pub(crate) origin: Origin,
    /// The MP3's samples a second.
    pub(crate) sample_rate: u32,
    /// The MP3's.
    pub(crate) channels: u8,
}

/// The sound as it was encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) waveform: Waveform,
    /// The highest sample of any channel; none of silence.
    pub(crate) peak: Option<Decibels>,
}

/// Tracks of sound in one file.
const MOST_TRACKS: usize = 32;
/// Bytes of a name of FFmpeg's.
const LONGEST_NAME: usize = 64;
/// Bytes before the pixels.
const HEAD: usize = 16;

impl Facts {
    pub(super) fn encode(&self) -> Vec<u8> {
        // It has no map whose keys could not be written; what is empty is refused by its reader.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// None of what breaks the rules.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut facts: Self = serde_json::from_slice(payload).ok()?;
        let origin = &mut facts.origin;
        let there = usize::from(origin.track).checked_sub(1)? < origin.tracks.len();
        let shape =
            (8_000..=48_000).contains(&facts.sample_rate) && matches!(facts.channels, 1 | 2);
        if origin.tracks.len() > MOST_TRACKS || !there || !shape {
            return None;
        }
        let names = origin.tracks.iter_mut().map(|track| &mut track.codec);
        for name in names.chain([&mut origin.container, &mut origin.codec]) {
            *name = printable(&name.as_bytes()[..name.floor_char_boundary(LONGEST_NAME)]);
        }
        Some(facts)
    }
}

impl Drawn {
    /// The most bytes of one.
    pub(super) const MOST: usize = HEAD + 2 * Waveform::MOST_PIXELS;

    pub(super) fn encode(&self, frame: &mut Vec<u8>) {
        frame.put_u32_le(self.waveform.sample_rate());
        frame.put_u32_le(self.waveform.samples_per_pixel());
        frame.put_f64_le(self.peak.map_or(f64::NAN, f64::from));
        frame.extend(self.waveform.data().iter().map(|level| level.cast_unsigned()));
    }

    /// None of what breaks the rules.
    pub(super) fn decode(payload: &mut Bytes) -> Option<Self> {
        let (rate, step) = (payload.try_get_u32_le().ok()?, payload.try_get_u32_le().ok()?);
        let peak = payload.try_get_f64_le().ok()?;
        let peak = if peak.is_nan() { None } else { Some(Decibels::try_from(peak).ok()?) };
        let data: Vec<_> = payload.iter().map(|byte| byte.cast_signed()).collect();
        let (pixels, rest) = data.as_chunks::<2>();
        let ordered = rest.is_empty() && pixels.iter().all(|[low, high]| low <= high);
        let fits = (8_000..=48_000).contains(&rate) && step > 0 && !pixels.is_empty();
        (ordered && fits).then(|| Self { waveform: Waveform::new(rate, step, data), peak })
    }
}

/// What follows the duration of an MP3 that is whole, if anything does.
pub(super) fn loudness(payload: &mut Bytes) -> Result<Option<Loudness>, BadOption> {
    if payload.is_empty() {
        return Ok(None);
    }
    let mut level = || Decibels::try_from(payload.try_get_f64_le().unwrap_or(f64::NAN));
    let (integrated_lufs, true_peak_dbtp, gain_db) = (level()?, level()?, level()?);
    Ok(Some(Loudness { integrated_lufs, true_peak_dbtp, gain_db }))
}
