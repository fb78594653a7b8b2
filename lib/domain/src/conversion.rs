//! The conversion: its record and the only changes it can go through.
//!
//! `Conversion::apply` is the whole state machine. Stores carry a change out as one compare-and-set
//! of the record they read, so whatever is refused here can never be written by anyone.

mod change;
mod pace;

pub use change::{Applied, Change, Refused};
pub use pace::Pace;

use crate::{
    BatchId, Cause, ConversionId, EventId, FileName, Lane, Loudness, Mp3Id, Options, Reason, Role,
    Sha256, TraceParent, UserName, Video, VideoId,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a conversion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for its turn.
    Queued,
    /// An attempt has been dispatched.
    Running,
    /// The MP3 is there. Final.
    Succeeded,
    /// It failed for a reason that stays. Final.
    Failed,
    /// Its owner called it off. Final.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Whether it can never change again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word for it in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stored MP3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3 {
    /// Its id, which is also the name of the stored bytes.
    pub id: Mp3Id,
    /// Bytes.
    pub length: u64,
    /// Of all its bytes.
    pub sha256: Sha256,
    /// Milliseconds of sound.
    pub duration_ms: u64,
    /// What was measured and done where a loudness was asked for; none of silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
}

/// Why a conversion failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub reason: Reason,
    /// What was seen, for operators; may be empty.
    pub detail: String,
}

/// An attempt that was taken back, kept after its Job is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// Which.
    pub attempt: u32,
    /// When it was taken back.
    pub at: Timestamp,
    /// Why, with the end of its log where there was one.
    pub cause: Cause,
}

/// What a client sent so that a repeated request changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The client's key; unique per owner.
    pub key: String,
}

/// What a new conversion is made from.
#[derive(Clone, Debug)]
pub struct NewConversion<'a> {
    /// The video to convert.
    pub video: &'a Video,
    /// The role of its owner.
    pub role: Role,
    /// How.
    pub options: Options,
    /// The client's key, if it sent one.
    pub idempotency: Option<Idempotency>,
    /// How long the MP3 is kept; none means for good.
    pub mp3_kept_for: Option<SignedDuration>,
}

/// The record of one video's conversion with one set of options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Its id.
    pub id: ConversionId,
    /// The video it converts.
    pub video: VideoId,
    /// Of the video; 0 in records of an earlier version.
    #[serde(default)]
    pub video_bytes: u64,
    /// What the original system calls the video, if it comes from there.
    #[serde(default)]
    pub foreign_fid: Option<String>,
    /// The video's name, for lists and operators.
    pub name: FileName,
    /// Whose it is.
    pub owner: UserName,
    /// The owner's role when it was made.
    pub role: Role,
    /// How to convert.
    pub options: Options,
    /// The client's key.
    pub idempotency: Option<Idempotency>,
    /// The batch that it is part of.
    #[serde(default)]
    pub batch: Option<BatchId>,
    /// Where it stands.
    pub state: State,
    /// Number of the newest attempt dispatched; 0 before the first.
    pub attempt: u32,
    /// Attempts that ended in trouble.
    pub failures: u32,
    /// Whether an attempt has run out of memory; the next gets more.
    pub out_of_memory: bool,
    /// The fencing number: raised by each process that starts to work; only the newest may commit.
    pub claim: u32,
    /// The attempt that raised the claim last.
    pub claimed_attempt: u32,
    /// Whether the `video` message has been published with a confirm.
    pub announced: bool,
    /// Whether the `mp3` event has been published with a confirm.
    pub published: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not dispatched before this time.
    pub not_before: Timestamp,
    /// When its newest attempt was dispatched, or began after it had been held back.
    pub dispatched_at: Option<Timestamp>,
    /// When its newest attempt last showed life.
    pub alive_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// 0 to 100, of the attempt at work.
    pub progress: Option<u8>,
    /// How fast the attempt at work goes, once that is known.
    #[serde(default)]
    pub pace: Option<Pace>,
    /// Why it waits, where that is worth saying.
    pub waiting: Option<String>,
    /// The result.
    pub mp3: Option<Mp3>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The attempts that were taken back last, oldest first; at most five.
    #[serde(default)]
    pub setbacks: Vec<Setback>,
    /// The trace of the upload, for messages, Jobs and logs.
    #[serde(default, rename = "traceparent")]
    pub trace: Option<TraceParent>,
    /// How long the MP3 is kept; none means for good.
    #[serde(default)]
    pub mp3_kept_for: Option<SignedDuration>,
    /// When the MP3 is deleted; none where there is no MP3 or it stays.
    #[serde(default)]
    pub mp3_expires_at: Option<Timestamp>,
    /// Whether the MP3 has been deleted.
    #[serde(default)]
    pub mp3_expired: bool,
}

/// Attempts taken back after which a conversion has its turn like any other.
const MOST_INTERRUPTIONS: usize = 3;

impl Conversion {
    /// A conversion that waits for its first attempt.
    pub fn new(id: ConversionId, new: NewConversion<'_>, now: Timestamp) -> Self {
        Self {
            id,
            video: new.video.id,
            video_bytes: new.video.length,
            foreign_fid: new.video.foreign_fid.clone(),
            name: new.video.name.clone(),
            owner: new.video.owner.clone(),
            role: new.role,
            options: new.options,
            idempotency: new.idempotency,
            batch: None,
            state: State::Queued,
            attempt: 0,
            failures: 0,
            out_of_memory: false,
            claim: 0,
            claimed_attempt: 0,
            announced: false,
            published: false,
            created_at: now,
            not_before: now,
            dispatched_at: None,
            alive_at: None,
            finished_at: None,
            progress: None,
            pace: None,
            waiting: None,
            mp3: None,
            failure: None,
            setbacks: Vec::new(),
            trace: None,
            mp3_kept_for: new.mp3_kept_for,
            mp3_expires_at: None,
            mp3_expired: false,
        }
    }

    /// What messages call its video.
    pub fn video_fid(&self) -> String {
        self.foreign_fid.clone().unwrap_or_else(|| self.video.to_string())
    }

    /// The id of the event that tells of its MP3.
    pub fn event(&self) -> EventId {
        self.id.event()
    }

    /// Whether its MP3's time is over, deleted or not.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.mp3_expires_at.is_some_and(|at| at <= now)
    }

    /// Who goes before it.
    pub const fn lane(&self) -> Lane {
        if self.batch.is_some() { Lane::Bulk } else { Lane::Interactive }
    }

    /// Whether it waits because an attempt was broken off, whose slot is still its own: not for ever, as
    /// disruptions are not counted.
    pub fn was_interrupted(&self) -> bool {
        let last = self.setbacks.last().map(|setback| &setback.cause);
        self.state == State::Queued
            && self.setbacks.len() <= MOST_INTERRUPTIONS
            && !matches!(last, None | Some(Cause::NeverStarted(_)))
    }

    /// Whether a process of the newest attempt has claimed it.
    pub const fn is_claimed(&self) -> bool {
        self.claimed_attempt == self.attempt && self.attempt > 0
    }
}

#[cfg(test)]
pub(crate) mod tests;
