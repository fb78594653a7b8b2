//! Ids. Each kind is a type of its own, so that no id is taken for another.

use crate::{BatchId, Options};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::{Builder, Uuid};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::from_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// Names a stored upload. New ones sort by time.
    VideoId
}
id! {
    /// Names one video's conversion with one set of options. New ones sort by time.
    ConversionId
}
id! {
    /// Names a stored MP3. It follows from the conversion and the claim that wrote it, so that
    /// whoever knows the record knows every file that can hang on it.
    Mp3Id
}
id! {
    /// Names an event. It follows from the conversion, so that every delivery carries the same one.
    EventId
}

/// The parent of ids that follow from a file of the original system.
const FOREIGN: Uuid = Uuid::from_u128(0xb3d4_7c10_9a6e_4f25_8c71_05e2_f8d9_364b);

fn at(time: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The lowest id that can be made at `time` or later.
fn lowest_at(time: Timestamp) -> Uuid {
    at(time, [0; 10])
}

/// An id of this time; the rest follows from the hash.
fn derived(time: Timestamp, hash: Uuid) -> Uuid {
    let hash = hash.into_bytes();
    // All but the bytes that hold a UUID's version and variant.
    at(time, [0, 1, 2, 3, 4, 5, 10, 11, 12, 13].map(|at: usize| hash[at]))
}

/// A foreign file's id in its one spelling, and its time: an ObjectId begins with the second of its
/// making, any other id knows none.
fn foreign(fid: &str) -> (String, Timestamp) {
    if fid.len() != 24 || !fid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return (fid.to_owned(), Timestamp::UNIX_EPOCH);
    }
    let second = i64::from_str_radix(&fid[..8], 16).unwrap_or(0);
    (fid.to_ascii_lowercase(), Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

impl VideoId {
    /// Makes a new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The lowest id that can be made at `time` or later.
    pub fn lowest_at(time: Timestamp) -> Self {
        Self(lowest_at(time))
    }

    /// The id of the video that a file of the original system becomes, however often.
    pub fn of_foreign(fid: &str) -> Self {
        let (fid, time) = foreign(fid);
        Self(derived(time, Uuid::new_v5(&FOREIGN, fid.as_bytes())))
    }
}

impl ConversionId {
    /// Makes a new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The lowest id that can be made at `time` or later.
    pub fn lowest_at(time: Timestamp) -> Self {
        Self(lowest_at(time))
    }

    /// The id of a batch's conversion of a video: it follows from all of them, and sorts by the time
    /// at which the batch was made.
    pub fn of_batch(
        batch: &BatchId,
        made_at: Timestamp,
        video: VideoId,
        options: &Options,
    ) -> Self {
        let Options { preset, allow_truncated, .. } = options;
        let mut name = format!("{batch} {preset} {allow_truncated}");
        // The two come first; what came to be an option later is named where it is said.
        for (option, text) in options.said().skip(1 + usize::from(*allow_truncated)) {
            name += &format!(" {option}={text}");
        }
        Self(derived(made_at, Uuid::new_v5(&video.0, name.as_bytes())))
    }

    /// The id of the conversion that a message of the original system asks for, however often.
    pub fn of_foreign(fid: &str) -> Self {
        let video = VideoId::of_foreign(fid);
        Self(derived(foreign(fid).1, Uuid::new_v5(&video.0, b"conversion")))
    }

    /// The MP3 that claim `claim` of this conversion writes.
    pub fn mp3(self, claim: u32) -> Mp3Id {
        Mp3Id(Uuid::new_v5(&self.0, &claim.to_be_bytes()))
    }

    /// The event that tells of this conversion's MP3.
    pub fn event(self) -> EventId {
        EventId(Uuid::new_v5(&self.0, b"mp3"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let before = Timestamp::now();
        let id = VideoId::generate();
        let after = Timestamp::now() + jiff::SignedDuration::from_millis(1);
        assert!(VideoId::lowest_at(before) <= id && id < VideoId::lowest_at(after));
        assert!(VideoId::lowest_at(Timestamp::MIN) < VideoId::lowest_at(Timestamp::MAX));
    }

    #[test]
    fn derived_ids_are_stable_and_differ_by_claim() {
        let id: ConversionId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(id.mp3(1), id.mp3(1));
        assert_ne!(id.mp3(1), id.mp3(2));
        assert_ne!(id.event().uuid(), id.mp3(1).uuid());
    }

    #[test]
    fn ids_of_foreign_files_are_stable_and_as_old_as_the_files() {
        let fid = "64f0c0ffee64f0c0ffee64f0";
        let made_at = Timestamp::from_second(0x64f0_c0ff).unwrap();
        let later = made_at + jiff::SignedDuration::from_millis(1);
        let (video, conversion) = (VideoId::of_foreign(fid), ConversionId::of_foreign(fid));
        assert!(VideoId::lowest_at(made_at) <= video && video < VideoId::lowest_at(later));
        assert!(ConversionId::lowest_at(made_at) <= conversion);
        assert!(conversion < ConversionId::lowest_at(later));
        assert_eq!(video.uuid().get_version_num(), 7);
        assert_ne!(video.uuid(), conversion.uuid());
        // Ids lie in stores and brokers: whatever changes here would convert everything again.
        assert_eq!(video.to_string(), "018a4c71-e418-7b5c-8b17-6909480d6e20");
        assert_eq!(conversion.to_string(), "018a4c71-e418-7a82-86a1-b3653d1e0073");
        let shouted = fid.to_ascii_uppercase();
        assert_eq!(VideoId::of_foreign(&shouted), video, "the same ObjectId");
        assert_eq!(ConversionId::of_foreign(&shouted), conversion, "the same ObjectId");
        for other in ["64f0c0ffee64f0c0ffee64f1", "film", "FILM", "film\u{e9}", ""] {
            assert_ne!(VideoId::of_foreign(other), video, "{other}");
            assert_eq!(VideoId::of_foreign(other), VideoId::of_foreign(other));
        }
        assert_ne!(VideoId::of_foreign("film"), VideoId::of_foreign("FILM"));
    }
}
