//! Pending markers: written before the first byte of a file, removed when a record names it.
//! Whatever a crash leaves behind has a marker, so the sweeper can find it without a walk.

use crate::{Conversion, ConversionId, Mp3Id, VideoId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Says that a file may exist which no record names yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which file, and what will name it.
    pub kind: PendingKind,
    /// When its writer last showed life.
    pub touched_at: Timestamp,
}

/// Which file a marker speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingKind {
    /// An upload in flight.
    Video {
        /// The file.
        video: VideoId,
    },
    /// The MP3 of one claim.
    Mp3 {
        /// The file.
        mp3: Mp3Id,
        /// Whose result it would be.
        conversion: ConversionId,
        /// Which claim writes it.
        claim: u32,
    },
}

/// What the sweeper does with a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its writer may be alive, or may still win.
    Keep,
    /// The file is safe: a record names it.
    Forget,
    /// The file can never be named: its bytes go, the marker stays for a writer that sleeps.
    Delete,
    /// As `Delete`, and no writer can be left.
    DeleteAndForget,
}

/// An upload that has shown no life for this long is dead: no open request is silent so long.
const UPLOAD_SILENCE: SignedDuration = SignedDuration::from_mins(10);
/// No attempt outlives this; a marker older than it has no writer.
const WRITER_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Judges a marker by the record it belongs to: the conversion of an MP3, any conversion of a video.
pub fn verdict(pending: &Pending, conversion: Option<&Conversion>, now: Timestamp) -> Verdict {
    let silence = now.duration_since(pending.touched_at);
    match (pending.kind, conversion) {
        (PendingKind::Video { .. }, Some(_)) => Verdict::Forget,
        (PendingKind::Video { .. }, None) if silence > UPLOAD_SILENCE => Verdict::DeleteAndForget,
        (PendingKind::Video { .. }, None) => Verdict::Keep,
        (PendingKind::Mp3 { .. }, None) => gone(silence),
        (PendingKind::Mp3 { mp3, claim, .. }, Some(conversion)) => {
            let named = conversion.mp3.as_ref().is_some_and(|result| result.id == mp3);
            if named {
                Verdict::Forget
            } else if conversion.state.is_terminal() || claim < conversion.claim {
                gone(silence)
            } else {
                // The newest claim: it may be at work, or a later one will raise it.
                Verdict::Keep
            }
        }
    }
}

fn gone(silence: SignedDuration) -> Verdict {
    if silence > WRITER_LIFE { Verdict::DeleteAndForget } else { Verdict::Delete }
}
