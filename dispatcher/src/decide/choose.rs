//! Who gets the slots that are free.
//!
//! What was broken off goes first: the slot was its own. Then uploads go before batches, but the longest
//! waiting of a batch gets one slot once it has waited for [`PATIENCE`], so that no crowd of uploads stops
//! batches for good; not twice in a row, so that no batch has an only slot to itself. Within a lane the owner with the fewest conversions at work is next; among several the
//! one whose last turn is the longest ago, and then the one who has waited longest. So however much one user
//! has waiting, another's first video is next when a slot is free.

use super::{Action, Known, Plan};
use crate::launcher::job_name;
use domain::{Conversion, Lane, State, UserName};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// After this long a batch gets one slot beside the uploads.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Owners whose turns are remembered: with no more than so many who wait, turns are exact.
const MOST_TURNS: usize = 1000;

/// Whose turn it was last, for those who were given slots of late. Whoever is forgotten is served a
/// little sooner.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    taken: u64,
    lane: Option<Lane>,
    last: HashMap<(Lane, UserName), u64>,
}

impl Turns {
    /// The owner's turn, now.
    pub fn take(&mut self, lane: Lane, owner: &UserName) {
        self.taken += 1;
        self.lane = Some(lane);
        self.last.insert((lane, owner.clone()), self.taken);
        let oldest = self.last.iter().min_by_key(|(_, turn)| **turn).map(|(who, _)| who.clone());
        if let Some(oldest) = oldest.filter(|_| self.last.len() > MOST_TURNS) {
            self.last.remove(&oldest);
        }
    }

    fn last(&self, lane: Lane, owner: &UserName) -> u64 {
        self.last.get(&(lane, owner.clone())).copied().unwrap_or(0)
    }
}

/// Wait before a quota that was full is tried again.
const FULL_WAIT: SignedDuration = SignedDuration::from_secs(5);

/// A quota that lets fewer Jobs be than the operator's limit. It is tried by one Job at a time, and whoever
/// was refused keeps the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// So many slots were taken when it refused.
    taken: usize,
    /// Until then no more are tried.
    until: Timestamp,
}

impl Full {
    /// What is known after a pass that had so many Jobs made, and perhaps one refused.
    pub fn after(known: &Known, made: usize, refused: bool) -> Option<Self> {
        let taken = known.taken_slots() + made;
        match known.full {
            _ if refused => Some(Self { taken, until: known.now + FULL_WAIT }),
            Some(full) if taken > full.taken => Some(Self { taken, until: known.now }),
            before => before,
        }
        .filter(|full| full.taken < known.limits.jobs)
    }

    fn lets(self, taken: usize, now: Timestamp) -> usize {
        self.taken.saturating_sub(taken).max(usize::from(self.until <= now))
    }
}

/// What one owner has in one lane.
#[derive(Default)]
struct Queue<'a> {
    waiting: VecDeque<&'a Conversion>,
    at_work: usize,
    last_turn: u64,
}

type Queues<'a> = BTreeMap<&'a UserName, Queue<'a>>;

/// Gives free slots to those whose turn it is.
pub(super) fn choose(known: &Known, plan: &mut Plan) {
    let mut free = known.free_slots();
    if let Some(full) = known.full.filter(|full| full.until > known.now) {
        plan.wake_by(full.until);
    }
    let mut of_user: HashMap<&UserName, usize> = HashMap::new();
    for record in &known.running {
        *of_user.entry(&record.owner).or_default() += 1;
    }
    let mut lanes = Lane::ALL.map(|lane| queues(known, lane));
    while free > 0 {
        let may =
            |owner: &UserName| of_user.get(owner).copied().unwrap_or(0) < known.limits.per_user;
        let patient = is_out_of_patience(known, &lanes[1]);
        let order = if patient { [1, 0] } else { [0, 1] };
        let next = order.into_iter().filter_map(|lane| Some((lane, next(&lanes[lane], may)?)));
        // Of equal ones the first.
        let Some((lane, (_, owner))) = next.min_by_key(|(_, (comes_later, _))| *comes_later) else {
            break;
        };
        let Some(queue) = lanes[lane].get_mut(owner) else { break };
        let Some(record) = queue.waiting.pop_front() else { break };
        free -= 1;
        queue.at_work += 1;
        // Later than every turn before it.
        queue.last_turn = u64::MAX - free as u64;
        *of_user.entry(owner).or_default() += 1;
        plan.actions.push(Action::Dispatch(record.id, record.attempt + 1));
        if free > 0 {
            // Of each owner only the first few are known.
            plan.wake_by(known.now);
        }
    }
}

impl Known {
    /// Slots without a job, and without a record that has or had one; none while dispatching is paused.
    pub fn free_slots(&self) -> usize {
        let taken = self.taken_slots();
        let free = self.limits.jobs.saturating_sub(taken);
        match self.full {
            _ if self.paused => 0,
            Some(full) => free.min(full.lets(taken, self.now)),
            None => free,
        }
    }

    /// Jobs that may be created for attempts that have slots: two dispatchers at once may have given away
    /// more than there are. Whoever has claimed an attempt is at work, listed or not.
    pub(super) fn room(&self) -> usize {
        let claimed = self.running.iter().filter(|record| record.is_claimed());
        self.limits.jobs.saturating_sub(self.names_with(claimed).len())
    }

    /// A running record takes one though its job is not listed yet, or has ended: then it is its own until
    /// the record says what came of it.
    fn taken_slots(&self) -> usize {
        self.names_with(self.running.iter()).len()
    }

    /// The jobs that are alive, and those of some records.
    fn names_with<'a>(&self, records: impl Iterator<Item = &'a Conversion>) -> HashSet<String> {
        let alive = self.jobs.iter().filter(|job| job.phase.is_alive());
        let alive = alive.map(|job| job.name.clone());
        alive.chain(records.map(|record| job_name(record.id, record.attempt))).collect()
    }

    /// Of so many owners who have something due, those that have waited longest must be known: as
    /// many as there are free slots, and those who may have to stand back behind others, because they have
    /// something at work or have had a turn.
    pub fn owners_needed(&self) -> usize {
        let at_work = self.running.iter().map(|record| &record.owner);
        let had_a_turn = self.turns.last.keys().map(|(_, owner)| owner);
        let back: HashSet<_> = at_work.chain(had_a_turn).collect();
        self.free_slots() + back.len()
    }
}

fn queues(known: &Known, lane: Lane) -> Queues<'_> {
    let mut queues = Queues::new();
    let stands = |record: &&Conversion| {
        record.batch.as_ref().is_some_and(|batch| known.paused_batches.contains(batch))
    };
    let due = known.due.iter().filter(|record| record.state == State::Queued && !stands(record));
    for record in due.filter(|record| record.lane() == lane) {
        queues.entry(&record.owner).or_default().waiting.push_back(record);
    }
    for record in known.running.iter().filter(|record| record.lane() == lane) {
        if let Some(queue) = queues.get_mut(&record.owner) {
            queue.at_work += 1;
        }
    }
    for (owner, queue) in &mut queues {
        queue.last_turn = known.turns.last(lane, owner);
        queue.waiting.make_contiguous().sort_by_key(|record| !record.was_interrupted());
    }
    queues
}

/// Whose turn it is among those who may have one, and whether others come before: whoever was interrupted.
fn next<'a>(queues: &Queues<'a>, may: impl Fn(&UserName) -> bool) -> Option<(bool, &'a UserName)> {
    let waiting = queues.iter().filter_map(|(owner, queue)| {
        let first = queue.waiting.front()?;
        let turn = (queue.at_work, queue.last_turn, first.created_at, first.id);
        Some((!first.was_interrupted(), turn, *owner))
    });
    waiting.filter(|(.., owner)| may(owner)).min().map(|(later, _, owner)| (later, owner))
}

/// Whether nothing of a batch is at work, nor was the last to begin, and something has waited too long.
fn is_out_of_patience(known: &Known, bulk: &Queues<'_>) -> bool {
    let running = known.running.iter().any(|record| record.lane() == Lane::Bulk);
    let chosen = bulk.values().any(|queue| queue.at_work > 0);
    let mut waiting = bulk.values().filter_map(|queue| queue.waiting.front());
    let is_next = known.turns.lane != Some(Lane::Bulk);
    !running
        && !chosen
        && is_next
        && waiting.any(|record| record.not_before + PATIENCE <= known.now)
}

#[cfg(test)]
mod hour;
#[cfg(test)]
mod tests;
