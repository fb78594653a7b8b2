//! Who waits for a slot: of each owner the first few, so that no owner hides another.

use crate::{Error, Storage, Work};
use domain::{BatchId, Capacity, Conversion, ConversionId, Crowd, Lane, Waiting};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use std::collections::HashSet;

/// The name of the document with what the dispatcher lets know.
const CAPACITY: &str = "capacity";
/// Reads under way at once: a crowd may have something to wait for each.
const READS: usize = 10;
/// More than can run at once.
const MOST_RUNNING: u32 = 10_000;

/// How much is wanted of those that wait.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What is to be done later than this is left out.
    pub now: Timestamp,
    /// Slots to be filled.
    pub slots: u32,
    /// Owners in each lane who have something due, those first who have waited longest.
    pub owners: u32,
    /// Batches that stand still.
    pub paused: &'a HashSet<BatchId>,
}

/// Those that wait in one lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) lane: Lane,
    /// Batches that are left out.
    pub(crate) without: &'a [&'a str],
}

impl Storage {
    /// Queued conversions that are due: of each lane and owner the longest waiting, and more of each
    /// where there are fewer owners than slots. Those of one owner are in the order of their turn.
    pub async fn due(&self, wanted: &Wanted<'_>) -> Result<Vec<Conversion>, Error> {
        let mut due = Vec::new();
        let paused: Vec<_> = wanted.paused.iter().map(BatchId::as_str).collect();
        for lane in Lane::ALL {
            let without = if lane == Lane::Bulk { paused.as_slice() } else { &[] };
            due.extend(self.due_in(Line { lane, without }, wanted).await?);
        }
        Ok(due)
    }

    /// Those whose first attempts failed a moment ago have nothing due, and others take their place.
    async fn due_in(&self, line: Line<'_>, wanted: &Wanted<'_>) -> Result<Vec<Conversion>, Error> {
        let mut limit = wanted.owners;
        loop {
            let firsts = on!(self, store => store.firsts(line, limit).await)?;
            let are_all = firsts.len() < limit as usize;
            let each = wanted.slots.div_ceil(firsts.len().max(1) as u32);
            let of_each =
                stream::iter(firsts).map(|first| self.due_of(line, wanted.now, each, first));
            let due: Vec<_> = of_each.buffered(READS).try_collect().await?;
            let owners = due.iter().filter(|due| !due.is_empty()).count();
            if are_all || owners >= wanted.owners as usize {
                return Ok(due.concat());
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// What its owner has due, so many at most, when this has waited longest of theirs.
    async fn due_of(
        &self,
        line: Line<'_>,
        now: Timestamp,
        limit: u32,
        first: Conversion,
    ) -> Result<Vec<Conversion>, Error> {
        if limit == 1 && first.not_before <= now {
            return Ok(vec![first]);
        }
        on!(self, store => store.due_of(line, &first.owner, now, limit).await)
    }

    /// Everything that waits or runs, and how fast it goes. Its cost grows with what waits.
    pub async fn crowd(&self, now: Timestamp) -> Result<Crowd, Error> {
        let capacity = async { on!(self, store => store.control(CAPACITY).await) };
        let shares = async { on!(self, store => store.shares().await) };
        let running = self.work(Work::Running, MOST_RUNNING);
        let since = ConversionId::lowest_at(now - Crowd::LATE);
        let arrivals = async { on!(self, store => store.arrivals(since).await) };
        let (capacity, shares, running, arrivals) =
            tokio::try_join!(capacity, shares, running, arrivals)?;
        let capacity = capacity.map(|(_, capacity)| capacity).unwrap_or_default();
        let mut crowd = Crowd { capacity, shares, running: Vec::new(), arrivals };
        running.iter().for_each(|record| crowd.add_running(record, now));
        Ok(crowd)
    }

    /// Those of its owner that are in the lane of a waiting conversion and come before it.
    pub async fn ahead_of(&self, record: &Conversion) -> Result<Waiting, Error> {
        on!(self, store => store.ahead_of(record).await)
    }

    /// What the dispatcher lets know, as it was said last.
    pub async fn capacity(&self) -> Result<Option<Capacity>, Error> {
        let found = on!(self, store => store.control(CAPACITY).await)?;
        Ok(found.map(|(_, capacity): (i64, _)| capacity))
    }

    /// Lets it be known, in place of what was said before.
    pub async fn set_capacity(&self, capacity: &Capacity) -> Result<(), Error> {
        self.put(CAPACITY, capacity).await
    }
}
