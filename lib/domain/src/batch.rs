//! A batch: stored videos that match, converted anew with one set of options.
//!
//! It is walked through conversion by conversion; `cursor` says how far. What must hold: the id of a
//! conversion follows from batch, video and options, so that a walk that is repeated, after a crash or
//! by a second dispatcher, makes nothing twice.

mod id;

pub use id::{BadBatchId, BatchId};

use crate::{
    Conversion, ConversionId, NewConversion, Options, Preset, State, UserName, Video, VideoId,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Who goes first when a slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Somebody waits for it.
    Interactive,
    /// It is part of a batch and yields.
    Bulk,
}

impl Lane {
    /// Every lane, the first first.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// Its place among the lanes, for sorting.
    pub const fn number(self) -> i32 {
        match self {
            Self::Interactive => 0,
            Self::Bulk => 1,
        }
    }
}

/// Which conversions a batch converts anew; what is absent matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// Accepted at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// In this state when the walk comes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Converted with this preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchState {
    /// Conversions are added and dispatched.
    Running,
    /// Nothing is added or dispatched; what runs goes on.
    Paused,
    /// What had not ended is called off. Final.
    Cancelled,
    /// All of its conversions have ended. Final.
    Done,
}

/// What somebody asks for; the same id with the same wish is the same batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchWish {
    /// Which conversions.
    pub matching: Matching,
    /// How their videos are converted.
    pub options: Options,
    /// Whether the old MP3s go once the new one is there.
    pub replace: bool,
}

/// The record of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// Who asked.
    pub by: UserName,
    /// For what.
    pub wish: BatchWish,
    /// Where it stands.
    pub state: BatchState,
    /// The last conversion that was looked at.
    pub cursor: Option<ConversionId>,
    /// Whether everything has been looked at.
    pub walked: bool,
    /// Conversions that matched so far.
    pub found: u64,
    /// Those of them whose video is gone.
    pub skipped: u64,
    /// When it was made, in whole milliseconds. What was accepted later is none of its business.
    pub created_at: Timestamp,
    /// When the last of its conversions had ended.
    pub finished_at: Option<Timestamp>,
    /// How long the new MP3s are kept; none means for good.
    pub mp3_kept_for: Option<SignedDuration>,
}

/// The changes that a batch can go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchChange {
    /// Nothing more is added or dispatched.
    Pause,
    /// On again.
    Resume,
    /// What has not ended is called off.
    Cancel,
    /// A part of the walk is done.
    Walk(Stretch),
    /// None of its conversions is open any more.
    Finish,
}

/// A part of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it began: the cursor that was read.
    pub from: Option<ConversionId>,
    /// The last conversion that was looked at.
    pub to: Option<ConversionId>,
    /// How many matched.
    pub found: u64,
    /// Of how many of those the video is gone.
    pub skipped: u64,
    /// Whether nothing comes after it.
    pub is_last: bool,
}

/// Why a change does not apply to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefused {
    /// It is final.
    #[error("the batch is already {}", .0.as_str())]
    Final(BatchState),
    /// Somebody else has walked on, or it does not run.
    #[error("the batch has moved on")]
    Superseded,
}

impl BatchState {
    /// The word for it in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }
}

impl Matching {
    /// Whether this is one of them.
    pub fn matches(&self, record: &Conversion) -> bool {
        self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.since.is_none_or(|since| since <= record.created_at)
            && self.until.is_none_or(|until| record.created_at < until)
            && self.state.is_none_or(|state| state == record.state)
            && self.preset.is_none_or(|preset| preset == record.options.preset)
    }
}

impl Batch {
    /// A batch that nothing has been done for.
    pub fn new(id: BatchId, by: UserName, wish: BatchWish, now: Timestamp) -> Self {
        Self {
            id,
            by,
            wish,
            state: BatchState::Running,
            cursor: None,
            walked: false,
            found: 0,
            skipped: 0,
            // As exact as the ids that follow from it.
            created_at: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
            finished_at: None,
            mp3_kept_for: None,
        }
    }

    /// Whether it wants this video converted anew: never for its own results or what came later.
    pub fn wants(&self, record: &Conversion) -> bool {
        record.created_at < self.created_at
            && record.batch.as_ref() != Some(&self.id)
            && self.wish.matching.matches(record)
    }

    /// The id of its conversion of this video.
    pub fn conversion_id(&self, video: VideoId) -> ConversionId {
        ConversionId::of_batch(&self.id, self.created_at, video, &self.wish.options)
    }

    /// Its conversion of the video of a record that it wants.
    pub fn conversion(&self, old: &Conversion, video: &Video, now: Timestamp) -> Conversion {
        let new = NewConversion {
            video,
            role: old.role,
            options: self.wish.options.clone(),
            idempotency: None,
            mp3_kept_for: self.mp3_kept_for,
        };
        Conversion {
            batch: Some(self.id.clone()),
            // The dispatcher adds it itself; nobody else need be told.
            announced: true,
            ..Conversion::new(self.conversion_id(video.id), new, now)
        }
    }

    /// Whether something may be left to do for it.
    pub const fn is_open(&self) -> bool {
        self.finished_at.is_none()
    }

    /// The record after `change`; none where it says so already.
    pub fn apply(
        &self,
        change: &BatchChange,
        now: Timestamp,
    ) -> Result<Option<Self>, BatchRefused> {
        let mut next = self.clone();
        match (change, self.state) {
            (BatchChange::Pause, BatchState::Paused)
            | (BatchChange::Resume, BatchState::Running)
            | (BatchChange::Cancel, BatchState::Cancelled) => return Ok(None),
            (BatchChange::Finish, _) if !self.is_open() => return Ok(None),
            (BatchChange::Pause, BatchState::Running) => next.state = BatchState::Paused,
            (BatchChange::Resume, BatchState::Paused) => next.state = BatchState::Running,
            (BatchChange::Cancel, BatchState::Running | BatchState::Paused) => {
                next.state = BatchState::Cancelled;
            }
            (BatchChange::Walk(stretch), BatchState::Running)
                if stretch.from == self.cursor && !self.walked =>
            {
                next.cursor = stretch.to.or(self.cursor);
                next.walked = stretch.is_last;
                next.found += stretch.found;
                next.skipped += stretch.skipped;
            }
            (BatchChange::Finish, BatchState::Running) if self.walked => {
                next.state = BatchState::Done;
                next.finished_at = Some(now);
            }
            (BatchChange::Finish, BatchState::Cancelled) => next.finished_at = Some(now),
            (BatchChange::Walk(_) | BatchChange::Finish, _) => {
                return Err(BatchRefused::Superseded);
            }
            (_, state) => return Err(BatchRefused::Final(state)),
        }
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests;
