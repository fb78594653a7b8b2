//! What a conversion is asked to do.
//!
//! One type for records, requests and command lines: JSON, a query and a flag read an option by the
//! same few lines. What was written before an option existed reads as if it had not been asked for.

mod number;
mod preset;
mod track;

pub use number::{BitRate, Dbtp, Decibels, Lufs, Moment, Quality, SampleRate};
pub use preset::{Preset, UnknownPreset};
pub use track::{Channels, Language, Track};

use number::{DEFAULT_PEAK, OF_SPEECH};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Everything that decides what the MP3 is. What is absent is left to the preset and the sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Options {
    /// v0, v2, v4 (variable bit rate), 320, 256, 192, 128 (kbit/s), speech (mono, 64 kbit/s, -16
    /// LUFS) or copy (MP3 as it is, other sound as v2).
    #[serde(default)]
    #[cfg_attr(feature = "clap", arg(short, long, default_value_t))]
    pub preset: Preset,
    /// Convert a file that ends too early as far as it goes.
    #[serde(default, deserialize_with = "flag")]
    #[cfg_attr(feature = "clap", arg(long))]
    pub allow_truncated: bool,
    /// A constant bit rate instead of the preset's: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192,
    /// 224, 256 or 320 kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "KBITS"))]
    pub bit_rate: Option<BitRate>,
    /// A variable bit rate instead of the preset's: 0, the best, to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "LEVEL"))]
    pub quality: Option<Quality>,
    /// mono, stereo (each channel for itself) or joint [default: as the sound; two are joint].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long))]
    pub channels: Option<Channels>,
    /// Samples a second: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000 [default: as
    /// the sound, or the nearest].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "HZ"))]
    pub sample_rate: Option<SampleRate>,
    /// Which track of sound: its number, from 1, or its language, as eng [default: the one that a
    /// player would choose].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long))]
    pub track: Option<Track>,
    /// Leave out what comes before: seconds, as 90 or 12.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SECONDS"))]
    pub start: Option<Moment>,
    /// Leave out what comes after: seconds from the beginning of the video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "SECONDS"))]
    pub end: Option<Moment>,
    /// Make it as loud as this by EBU R128: -70 to -5 LUFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "LUFS", allow_negative_numbers = true))]
    pub loudness: Option<Lufs>,
    /// The highest true peak that --loudness may lead to: -20 to 0 dBTP [default: -1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DBTP", allow_negative_numbers = true))]
    pub true_peak: Option<Dbtp>,
}

/// How loud an MP3 is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Of all of it.
    pub loudness: Lufs,
    /// What no peak may pass, and wins.
    pub true_peak: Dbtp,
}

/// What was measured of the sound that an MP3 was made from, and the gain that it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loudness {
    /// Integrated, by EBU R128.
    pub integrated_lufs: Decibels,
    /// The highest of all channels.
    pub true_peak_dbtp: Decibels,
    /// What was added to both.
    pub gain_db: Decibels,
}

/// Why an option will not do, in one sentence that says what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadOption(&'static str);

/// How the bits of an MP3 are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// So many kilobits each second.
    Constant(u16),
    /// As many as LAME's level takes, 0 the best.
    Variable(u8),
}

impl Options {
    /// Whether the options go together.
    pub fn validate(&self) -> Result<(), BadOption> {
        if self.preset == Preset::Copy && self.changes_sound() {
            return Err(BadOption(
                "copy takes the sound as it is, all of it; leave out what changes it, or choose \
                 another preset",
            ));
        }
        if self.bit_rate.is_some() && self.quality.is_some() {
            return Err(BadOption(
                "bit_rate is constant and quality is variable; give one of the two",
            ));
        }
        if self.end.is_some_and(|end| end <= self.start.unwrap_or_default()) {
            return Err(BadOption(
                "end has to come after start; both are seconds from the beginning",
            ));
        }
        if self.true_peak.is_some() && self.goal().is_none() {
            return Err(BadOption("true_peak bounds what loudness does; give loudness as well"));
        }
        if let (Coding::Constant(kilobits), Some(rate)) = (self.coding(), self.sample_rate)
            && kilobits > rate.most_kilobits()
        {
            return Err(BadOption(
                "below 32000 Hz MP3 has at most 160 kbit/s, and below 16000 Hz 64; choose a lower \
                 bit_rate or a higher sample_rate",
            ));
        }
        Ok(())
    }

    /// Whether anything is asked for that sound which is there already cannot give.
    fn changes_sound(&self) -> bool {
        let unchanged = Self {
            preset: self.preset,
            allow_truncated: self.allow_truncated,
            track: self.track,
            ..Self::default()
        };
        *self != unchanged
    }

    /// What is asked for or else the preset says of the bit rate.
    pub fn coding(&self) -> Coding {
        match (self.bit_rate, self.quality) {
            (Some(rate), _) => Coding::Constant(rate.kilobits()),
            (None, Some(quality)) => Coding::Variable(quality.level()),
            (None, None) => self.preset.coding(),
        }
    }

    /// What is asked for or else the preset says of the channels.
    pub fn channels(&self) -> Option<Channels> {
        self.channels.or((self.preset == Preset::Speech).then_some(Channels::Mono))
    }

    /// How loud the MP3 is to be, where that is asked for or the preset says it.
    pub fn goal(&self) -> Option<Goal> {
        let loudness = self.loudness.or((self.preset == Preset::Speech).then_some(OF_SPEECH))?;
        Some(Goal { loudness, true_peak: self.true_peak.unwrap_or(DEFAULT_PEAK) })
    }

    /// What is said, by name and as text: for a query, a command line and names that follow from it.
    pub fn said(&self) -> impl Iterator<Item = (&'static str, String)> {
        fn text(option: &Option<impl fmt::Display>) -> Option<String> {
            option.as_ref().map(ToString::to_string)
        }
        let Self {
            preset,
            allow_truncated,
            bit_rate,
            quality,
            channels,
            sample_rate,
            track,
            start,
            end,
            loudness,
            true_peak,
        } = self;
        let all = [
            ("preset", Some(preset.to_string())),
            ("allow_truncated", allow_truncated.then(|| "true".to_owned())),
            ("bit_rate", text(bit_rate)),
            ("quality", text(quality)),
            ("channels", text(channels)),
            ("sample_rate", text(sample_rate)),
            ("track", text(track)),
            ("start", text(start)),
            ("end", text(end)),
            ("loudness", text(loudness)),
            ("true_peak", text(true_peak)),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name, text?)))
    }
}

/// Reads true or false, or the word for it in a query.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    struct Flag;
    impl de::Visitor<'_> for Flag {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("allow_truncated is true or false")
        }
        fn visit_bool<E: de::Error>(self, flag: bool) -> Result<bool, E> {
            Ok(flag)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
            text.parse().map_err(|_| E::custom("allow_truncated is true or false"))
        }
    }
    from.deserialize_any(Flag)
}

#[cfg(test)]
mod tests;
