//! A video: one stored upload.

use crate::{UserName, VideoId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The record of a stored upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// Its id, which is also the name of the stored bytes.
    pub id: VideoId,
    /// Whose it is.
    pub owner: UserName,
    /// What its owner called it.
    pub name: FileName,
    /// Bytes.
    pub length: u64,
    /// Of all its bytes.
    pub sha256: Sha256,
    /// When it was complete.
    pub created_at: Timestamp,
    /// When it is deleted; none means never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Its owner wants it gone, with all that hangs on it: for users it is gone.
    #[serde(default)]
    pub deleted: bool,
    /// What the original system calls it, if it comes from there.
    #[serde(default)]
    pub foreign_fid: Option<String>,
}

/// A file's name as data: never a path. At most 255 characters, no control or bidirectional
/// formatting characters, no separators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the MP3 made from a file of this name.
    pub fn mp3(&self) -> String {
        let stem = match self.0.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.0,
        };
        format!("{stem}.mp3")
    }
}

impl From<String> for FileName {
    /// Keeps what is harmless of any text; what leaves nothing becomes `video`.
    fn from(text: String) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let kept: String =
            last.chars().filter(|c| !c.is_control() && !formats_text(*c)).take(255).collect();
        match kept.trim() {
            "" | "." | ".." => Self("video".to_owned()),
            name => Self(name.to_owned()),
        }
    }
}

/// Characters that change how text beside them is shown.
const fn formats_text(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl From<[u8; 32]> for Sha256 {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl TryFrom<String> for Sha256 {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err("a SHA-256 has 64 hexadecimal digits");
        }
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16)
                .map_err(|_| "a SHA-256 has 64 hexadecimal digits")?;
        }
        Ok(Self(digest))
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lose_their_paths_and_tricks() {
        let clean = |text: &str| FileName::from(text.to_owned()).0;
        assert_eq!(clean("../../etc/passwd"), "passwd");
        assert_eq!(clean("C:\\films\\holiday.mp4"), "holiday.mp4");
        assert_eq!(clean("gpj.\u{202e}4pm"), "gpj.4pm");
        assert_eq!(clean(".."), "video");
        assert_eq!(FileName::from("фильм.tar.mp4".to_owned()).mp3(), "фильм.tar.mp3");
        assert_eq!(FileName::from(".mp4".to_owned()).mp3(), ".mp4.mp3");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_harmless_name(text: String) {
            let name = FileName::from(text).0;
            prop_assert!(!name.is_empty() && name.chars().count() <= 255);
            prop_assert!(!name.contains(['/', '\\', '\0', '\n']));
        }

        #[test]
        fn digests_survive_text(digest: [u8; 32]) {
            let sha = Sha256::from(digest);
            prop_assert_eq!(Sha256::try_from(sha.to_string()).unwrap(), sha);
        }
    }
}
