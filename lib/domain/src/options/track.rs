//! The options that are words: which track, and what becomes of its channels.

use super::{BadOption, number::NumberOrText};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, marker::PhantomData, str::FromStr};

/// The channels of an MP3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Channels {
    /// One.
    Mono,
    /// Two, each for itself.
    Stereo,
    /// Two, together where that saves bits.
    Joint,
}

/// Which of a file's tracks of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// Its place among them; the first is 1.
    Number(u8),
    /// What is spoken in it.
    Language(Language),
}

/// A language by three letters of ISO 639-2, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Language([u8; 3]);

/// Streams that a file may have.
const MOST_TRACKS: u8 = 32;
const BAD_TRACK: BadOption = BadOption(
    "track is a number from 1 to 32, or a language by three letters of ISO 639-2, as eng",
);

/// Languages that have two codes: Matroska's first, MP4's second.
const TWICE: [[&[u8; 3]; 2]; 20] = [
    [b"alb", b"sqi"],
    [b"arm", b"hye"],
    [b"baq", b"eus"],
    [b"bur", b"mya"],
    [b"chi", b"zho"],
    [b"cze", b"ces"],
    [b"dut", b"nld"],
    [b"fre", b"fra"],
    [b"geo", b"kat"],
    [b"ger", b"deu"],
    [b"gre", b"ell"],
    [b"ice", b"isl"],
    [b"mac", b"mkd"],
    [b"mao", b"mri"],
    [b"may", b"msa"],
    [b"per", b"fas"],
    [b"rum", b"ron"],
    [b"slo", b"slk"],
    [b"tib", b"bod"],
    [b"wel", b"cym"],
];

impl Channels {
    /// The word that users type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mono => "mono",
            Self::Stereo => "stereo",
            Self::Joint => "joint",
        }
    }
}

impl FromStr for Channels {
    type Err = BadOption;
    fn from_str(name: &str) -> Result<Self, BadOption> {
        let all = [Self::Mono, Self::Stereo, Self::Joint];
        let found = all.into_iter().find(|channels| channels.name() == name);
        found.ok_or(BadOption("channels is one of mono, stereo, joint"))
    }
}

impl TryFrom<String> for Channels {
    type Error = BadOption;
    fn try_from(name: String) -> Result<Self, BadOption> {
        name.parse()
    }
}

impl From<Channels> for &'static str {
    fn from(channels: Channels) -> Self {
        channels.name()
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Language {
    /// Whether both codes mean the same language.
    pub fn is(self, other: Self) -> bool {
        let one = |code: Self| {
            TWICE.into_iter().find(|[first, _]| **first == code.0).map_or(code.0, |[_, one]| *one)
        };
        one(self) == one(other)
    }
}

impl FromStr for Language {
    type Err = BadOption;
    fn from_str(text: &str) -> Result<Self, BadOption> {
        let code = <[u8; 3]>::try_from(text.as_bytes()).map_err(|_| BAD_TRACK)?;
        let letters = code.iter().all(u8::is_ascii_alphabetic);
        if letters { Ok(Self(code.map(|byte| byte.to_ascii_lowercase()))) } else { Err(BAD_TRACK) }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.to_string()
    }
}

impl TryFrom<String> for Language {
    type Error = BadOption;
    fn try_from(code: String) -> Result<Self, BadOption> {
        code.parse()
    }
}

impl FromStr for Track {
    type Err = BadOption;
    fn from_str(text: &str) -> Result<Self, BadOption> {
        match text.parse() {
            Ok(number @ 1..=MOST_TRACKS) => Ok(Self::Number(number)),
            Ok(_) => Err(BAD_TRACK),
            Err(_) => text.parse().map(Self::Language),
        }
    }
}

impl TryFrom<f64> for Track {
    type Error = BadOption;
    fn try_from(number: f64) -> Result<Self, BadOption> {
        number.to_string().parse()
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Language(language) => language.fmt(f),
        }
    }
}

impl Serialize for Track {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Track {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberOrText(PhantomData))
    }
}
