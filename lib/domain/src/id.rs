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

/// The lowest id that can be made at `time` or later.
fn lowest_at(time: Timestamp) -> Uuid {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
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
        let Options { preset, allow_truncated } = options;
        let name = format!("{batch} {preset} {allow_truncated}");
        let hash = Uuid::new_v5(&video.0, name.as_bytes()).into_bytes();
        // All but the bytes that hold a UUID's version and variant.
        let random = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13].map(|at: usize| hash[at]);
        let millis = u64::try_from(made_at.as_millisecond()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
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
}
