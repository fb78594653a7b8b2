//! Who waits for a slot: of each owner the first few, so that no owner hides another.

use crate::{Error, Storage};
use domain::{BatchId, Conversion, Lane};
use jiff::Timestamp;
use std::collections::HashSet;

/// How much is wanted of those that wait.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What is to be done later than this is left out.
    pub now: Timestamp,
    /// Slots to be filled.
    pub slots: u32,
    /// Owners in each lane, those first who have waited longest.
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
            let line = Line { lane, without };
            let firsts = on!(self, store => store.firsts(line, wanted.owners).await)?;
            let each = wanted.slots.div_ceil(firsts.len().max(1) as u32);
            for first in firsts {
                if each == 1 && first.not_before <= wanted.now {
                    due.push(first);
                } else {
                    let (owner, now) = (&first.owner, wanted.now);
                    due.extend(on!(self, store => store.due_of(line, owner, now, each).await)?);
                }
            }
        }
        Ok(due)
    }
}
