//! What operators switch and ask for: the dispatching switch and the batches. Small documents, each
//! changed by compare-and-set; the dispatcher reads the open ones in every pass.

use crate::{Error, Storage};
use domain::{
    Batch, BatchChange, BatchId, BatchRefused, Conversion, ConversionId, Dispatching, State,
    VideoId,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::IgnoredAny};
use std::collections::HashMap;

/// The name of the switch's document.
const DISPATCHING: &str = "dispatching";
/// What the names of batches' documents begin with.
pub(crate) const BATCH: &str = "batch/";
/// The first name that comes after all of those.
pub(crate) const AFTER_BATCHES: &str = "batch0";

/// Why a batch was not changed.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The batch does not allow it.
    #[error(transparent)]
    Refused(#[from] BatchRefused),
    /// Storage failed; the change may have been made.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// Conversions that an estimate reads at once.
const STRETCH: u32 = 1000;

/// What a batch would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Conversions that match.
    pub found: u64,
    /// Their videos: each would be converted once.
    pub videos: u64,
    /// What that would take, one after another, if each video took what it took last time, and one
    /// that has never succeeded as long as the others do; none where none has.
    pub work: Option<SignedDuration>,
}

/// How many of a batch's conversions are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Waiting.
    pub queued: u64,
    /// At work.
    pub running: u64,
    /// With their MP3.
    pub succeeded: u64,
    /// Failed for good.
    pub failed: u64,
    /// Called off.
    pub cancelled: u64,
}

impl Progress {
    /// Those that have not ended.
    pub const fn open(&self) -> u64 {
        self.queued + self.running
    }

    const fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Queued => &mut self.queued,
            State::Running => &mut self.running,
            State::Succeeded => &mut self.succeeded,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
        }
    }
}

fn key(id: &BatchId) -> String {
    format!("{BATCH}{id}")
}

impl Storage {
    /// The dispatching switch.
    pub async fn dispatching(&self) -> Result<Dispatching, Error> {
        let found = on!(self, store => store.control(DISPATCHING).await)?;
        Ok(found.map(|(_, switch)| switch).unwrap_or_default())
    }

    /// Sets the switch.
    pub async fn set_dispatching(&self, switch: &Dispatching) -> Result<(), Error> {
        self.put(DISPATCHING, switch).await
    }

    /// Writes a document, whatever it was before.
    pub(crate) async fn put(
        &self,
        name: &str,
        value: &(impl Serialize + Sync),
    ) -> Result<(), Error> {
        loop {
            let found: Option<(i64, IgnoredAny)> = on!(self, store => store.control(name).await)?;
            let version = found.map(|(version, _)| version);
            if on!(self, store => store.put_control(name, version, true, value).await)? {
                return Ok(());
            }
        }
    }

    /// Adds a batch; returns the one that has its name, which may have been there already.
    pub async fn add_batch(&self, batch: &Batch) -> Result<Batch, Error> {
        if on!(self, store => store.put_control(&key(&batch.id), None, true, batch).await)? {
            return Ok(batch.clone());
        }
        self.batch(&batch.id).await
    }

    /// A batch.
    pub async fn batch(&self, id: &BatchId) -> Result<Batch, Error> {
        let found = on!(self, store => store.control(&key(id)).await)?;
        found.map(|(_, batch)| batch).ok_or(Error::NotFound)
    }

    /// Batches by name; only those that something may be left to do for, where `open` is set.
    pub async fn batches(&self, open: bool) -> Result<Vec<Batch>, Error> {
        on!(self, store => store.batches(open).await)
    }

    /// Makes one change of a batch, as [`Storage::change`] does of a conversion.
    pub async fn change_batch(
        &self,
        id: &BatchId,
        change: &BatchChange,
    ) -> Result<Batch, BatchError> {
        loop {
            let found: Option<(i64, Batch)> = on!(self, store => store.control(&key(id)).await)?;
            let (version, batch) = found.ok_or(Error::NotFound)?;
            let Some(next) = batch.apply(change, Timestamp::now())? else {
                return Ok(batch);
            };
            let put = on!(self, store => {
                store.put_control(&key(id), Some(version), next.is_open(), &next).await
            })?;
            if put {
                return Ok(next);
            }
        }
    }

    /// Everybody's conversions in the order of their ids: those after `after` and before `before`.
    pub async fn walk(
        &self,
        after: Option<ConversionId>,
        before: ConversionId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        on!(self, store => store.walk(after, before, limit).await)
    }

    /// What a batch would come to now. Takes a few bytes of memory for each video.
    pub async fn estimate(&self, batch: &Batch) -> Result<Estimate, Error> {
        let (mut found, mut cursor) = (0, None);
        let mut videos: HashMap<VideoId, Option<SignedDuration>> = HashMap::new();
        let end = ConversionId::lowest_at(batch.created_at);
        loop {
            let seen = self.walk(cursor, end, STRETCH).await?;
            for record in seen.iter().filter(|record| batch.wants(record)) {
                found += 1;
                let took = videos.entry(record.video).or_default();
                *took = work_of(record).or(*took);
            }
            match seen.last() {
                Some(last) if seen.len() == STRETCH as usize => cursor = Some(last.id),
                _ => break,
            }
        }
        let known: Vec<_> = videos.values().flatten().collect();
        let sum: SignedDuration = known.iter().copied().sum();
        let scale = videos.len() as f64 / known.len() as f64;
        let work = (!known.is_empty()).then(|| sum.as_secs_f64() * scale);
        let work = work.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
        Ok(Estimate { found, videos: videos.len() as u64, work })
    }

    /// How far a batch is.
    pub async fn progress(&self, batch: &BatchId) -> Result<Progress, Error> {
        let mut progress = Progress::default();
        for state in State::ALL {
            *progress.of(state) = on!(self, store => store.count_of_batch(batch, state).await)?;
        }
        Ok(progress)
    }

    /// Some of a batch's conversions that have not ended.
    pub async fn open_of_batch(
        &self,
        batch: &BatchId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        on!(self, store => store.open_of_batch(batch, limit).await)
    }
}

/// From its last dispatch to its MP3.
fn work_of(record: &Conversion) -> Option<SignedDuration> {
    let (begin, end) = (record.dispatched_at?, record.finished_at?);
    (record.state == State::Succeeded).then(|| end.duration_since(begin))
}
