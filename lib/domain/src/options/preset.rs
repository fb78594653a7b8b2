//! The presets: qualities with names that people know.

use super::Coding;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A named quality: `v0` to `v4` are LAME's variable bit rates, the numbers are constant kbit/s,
/// `speech` is for what is spoken, `copy` takes MP3 as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Preset {
    /// Variable, about 245 kbit/s.
    V0,
    /// Variable, about 190 kbit/s.
    #[default]
    V2,
    /// Variable, about 165 kbit/s.
    V4,
    /// Constant 320 kbit/s.
    Cbr320,
    /// Constant 256 kbit/s.
    Cbr256,
    /// Constant 192 kbit/s.
    Cbr192,
    /// Constant 128 kbit/s.
    Cbr128,
    /// One channel, constant 64 kbit/s, -16 LUFS.
    Speech,
    /// MP3 as it is; other sound as `V2`.
    Copy,
}

/// No preset has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no preset {0:?}; choose one of v0, v2, v4, 320, 256, 192, 128, speech, copy")]
pub struct UnknownPreset(pub String);

impl Preset {
    /// Every preset, best first.
    pub const ALL: [Self; 9] = [
        Self::V0,
        Self::Cbr320,
        Self::Cbr256,
        Self::V2,
        Self::Cbr192,
        Self::V4,
        Self::Cbr128,
        Self::Speech,
        Self::Copy,
    ];

    /// The name that users type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V0 => "v0",
            Self::V2 => "v2",
            Self::V4 => "v4",
            Self::Cbr320 => "320",
            Self::Cbr256 => "256",
            Self::Cbr192 => "192",
            Self::Cbr128 => "128",
            Self::Speech => "speech",
            Self::Copy => "copy",
        }
    }

    /// What it says of the bit rate.
    pub const fn coding(self) -> Coding {
        match self {
            Self::V0 => Coding::Variable(0),
            Self::V2 | Self::Copy => Coding::Variable(2),
            Self::V4 => Coding::Variable(4),
            Self::Cbr320 => Coding::Constant(320),
            Self::Cbr256 => Coding::Constant(256),
            Self::Cbr192 => Coding::Constant(192),
            Self::Cbr128 => Coding::Constant(128),
            Self::Speech => Coding::Constant(64),
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;
    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| UnknownPreset(name.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Preset {
    type Error = UnknownPreset;
    fn try_from(name: String) -> Result<Self, UnknownPreset> {
        name.parse()
    }
}

impl From<Preset> for &'static str {
    fn from(preset: Preset) -> Self {
        preset.name()
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse::<Preset>().unwrap(), preset);
        }
        assert!("V2 ".parse::<Preset>().is_err());
    }
}
