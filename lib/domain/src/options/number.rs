//! The options that are numbers. Each has its limits, and is read the same from text and from JSON.

use super::BadOption;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, marker::PhantomData, str::FromStr};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident in $scale:literal, $fits:expr, $sentence:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(i32);

        impl TryFrom<f64> for $name {
            type Error = BadOption;
            fn try_from(number: f64) -> Result<Self, BadOption> {
                let fits: fn(i32) -> bool = $fits;
                let parts = (number * f64::from($scale)).round();
                // Too large a number becomes the largest, which never fits.
                let whole = parts as i32;
                let exact = f64::from(whole) == parts && ($scale > 1 || parts == number);
                if exact && fits(whole) { Ok(Self(whole)) } else { Err(BadOption($sentence)) }
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> Self {
                Self::from(number.0) / Self::from($scale)
            }
        }

        impl FromStr for $name {
            type Err = BadOption;
            fn from_str(text: &str) -> Result<Self, BadOption> {
                text.parse::<f64>().map_err(|_| BadOption($sentence))?.try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f64::from(*self).fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let number = f64::from(*self);
                let whole = number as i32;
                if f64::from(whole) == number {
                    to.serialize_i32(whole)
                } else {
                    to.serialize_f64(number)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(NumberOrText(PhantomData))
            }
        }
    };
}

number! {
    /// A constant bit rate, one that MP3 has at 32 kHz and more.
    BitRate in 1, |kilobits| matches!(
        kilobits,
        32 | 40 | 48 | 56 | 64 | 80 | 96 | 112 | 128 | 160 | 192 | 224 | 256 | 320
    ),
    "bit_rate is one of 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 (kbit/s)"
}
number! {
    /// A level of variable bit rate.
    Quality in 1, |level| (0..=9).contains(&level),
    "quality is a number from 0, the best, to 9"
}
number! {
    /// A sample rate that MP3 has.
    SampleRate in 1, |hertz| matches!(
        hertz,
        8_000 | 11_025 | 12_000 | 16_000 | 22_050 | 24_000 | 32_000 | 44_100 | 48_000
    ),
    "sample_rate is one of 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 (Hz)"
}
number! {
    /// A moment in the sound, in whole milliseconds from its beginning.
    #[derive(Default)]
    Moment in 1000, |ms| (0..=12 * 3600 * 1000).contains(&ms),
    "start and end are seconds from the beginning, as 90 or 12.5, up to 43200"
}

number! {
    /// The loudness that is wanted, in LUFS.
    Lufs in 100, |parts| (-7000..=-500).contains(&parts),
    "loudness is a number of LUFS from -70 to -5, as -16"
}
number! {
    /// The highest true peak that is wanted, in dBTP.
    Dbtp in 100, |parts| (-2000..=0).contains(&parts),
    "true_peak is a number of dBTP from -20 to 0, as -1"
}
number! {
    /// A level or a gain, to the hundredth of a decibel.
    Decibels in 100, |parts| (-30_000..=30_000).contains(&parts),
    "decibels are a number from -300 to 300"
}

/// Leaves room for what coding adds to a peak.
pub(super) const DEFAULT_PEAK: Dbtp = Dbtp(-100);
/// As what is spoken is usually published.
pub(super) const OF_SPEECH: Lufs = Lufs(-1600);

impl BitRate {
    /// Kilobits a second.
    pub const fn kilobits(self) -> u16 {
        self.0 as u16
    }
}

impl Quality {
    /// LAME's level, 0 the best.
    pub const fn level(self) -> u8 {
        self.0 as u8
    }
}

impl SampleRate {
    /// Samples a second.
    pub const fn hertz(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// The highest constant bit rate that MP3 has there.
    pub(super) const fn most_kilobits(self) -> u16 {
        match self.0 {
            ..16_000 => 64,
            16_000..32_000 => 160,
            _ => 320,
        }
    }
}

impl Moment {
    /// Milliseconds.
    pub const fn ms(self) -> u64 {
        self.0.cast_unsigned() as u64
    }
}

/// Reads a number as JSON and records have it, or its text as a query has it.
pub(super) struct NumberOrText<T>(pub(super) PhantomData<T>);

impl<T> de::Visitor<'_> for NumberOrText<T>
where
    T: TryFrom<f64, Error = BadOption> + FromStr<Err = BadOption>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or its text")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        number.try_into().map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
