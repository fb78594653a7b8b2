//! What to do next: a pure function from what is known to a list of actions.
//!
//! It looks at levels, never at events: whatever was missed, repeated or half done shows in the
//! records and the jobs, and the next pass puts it right. `Known::jobs` must have been read before
//! the records: then a job that no record stands for is stale, not new.

mod choose;

pub use choose::{Full, PATIENCE, Turns};

use crate::launcher::{Job, Phase, job_name};
use choose::choose;
use domain::{BatchId, Cause, Change, Conversion, ConversionId, State};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// An attempt that has claimed its conversion and shows no life for this long has ended. Attempts
/// show life every two seconds.
pub const SILENCE: SignedDuration = SignedDuration::from_secs(12);
/// A job whose record is final ends by itself within seconds; after this it is deleted.
const LINGER: SignedDuration = SignedDuration::from_secs(60);
/// A gateway that lives has announced a conversion after this long.
const ANNOUNCE_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// Limits that an operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs alive at once.
    pub jobs: usize,
    /// Of them, those of one user.
    pub per_user: usize,
    /// How long a job may take to start.
    pub pending: SignedDuration,
}

/// What one pass knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// When the records were read.
    pub now: Timestamp,
    /// Since when the store has answered: nobody could show life before.
    pub answering_since: Timestamp,
    /// Limits.
    pub limits: Limits,
    /// Whether a job that is not listed is certainly dead (children of this process) or may only
    /// not be listed yet, or be alive without its Kubernetes object.
    pub absent_is_dead: bool,
    /// Jobs of ours, finished ones included.
    pub jobs: Vec<Job>,
    /// Whether an operator has stopped dispatching: then nothing is chosen, and all else goes on.
    pub paused: bool,
    /// Batches that are paused: none of their conversions is chosen.
    pub paused_batches: HashSet<BatchId>,
    /// Queued conversions that are due: of each owner the first few, the longest waiting first.
    pub due: Vec<Conversion>,
    /// Whose turn it was last.
    pub turns: Turns,
    /// What is known of a quota.
    pub full: Option<Full>,
    /// Running conversions.
    pub running: Vec<Conversion>,
    /// The records behind jobs that are alive and not in `running`, as far as there are any.
    pub others: Vec<Conversion>,
    /// Conversions whose `video` message was never confirmed.
    pub unannounced: Vec<Conversion>,
    /// Conversions whose `mp3` event was never confirmed.
    pub unpublished: Vec<Conversion>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this change.
    Change(ConversionId, Change),
    /// Write `Dispatch` for this attempt, then create its job.
    Dispatch(ConversionId, u32),
    /// Create the job of the attempt that the record has, or adopt it.
    Launch(ConversionId),
    /// Write this change, then delete the job of this name, which may still be alive.
    TakeBack(ConversionId, Change, String),
    /// Delete a job.
    Delete(String),
    /// Publish the `video` message, then write `Announced`.
    Announce(ConversionId),
    /// Publish the `mp3` event, then write `Published`.
    Publish(ConversionId),
}

/// What to do, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// The earliest deadline among what is known.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    fn wake_by(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// Decides one pass.
pub fn decide(known: &Known) -> Plan {
    let mut plan = Plan::default();
    let jobs: HashMap<&str, &Job> = known.jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let mut room = known.room();
    for record in &known.running {
        let name = job_name(record.id, record.attempt);
        match jobs.get(name.as_str()) {
            Some(job) => present(known, record, job, &mut plan),
            None => absent(known, record, &mut room, &mut plan),
        }
    }
    stale(known, &mut plan);
    choose(known, &mut plan);
    announce(known, &mut plan);
    plan.actions.extend(known.unpublished.iter().map(|record| Action::Publish(record.id)));
    plan
}

/// A running record whose job is not listed.
fn absent(known: &Known, record: &Conversion, room: &mut usize, plan: &mut Plan) {
    if !record.is_claimed() {
        // Nobody has worked on this attempt: creating its job, perhaps once more, is harmless. Two
        // dispatchers at once may have given away a slot twice; then it waits for one.
        plan.actions.extend((*room > 0).then_some(Action::Launch(record.id)));
        *room = room.saturating_sub(1);
    } else if known.absent_is_dead {
        release(known, record, Cause::Disruption("its job is gone".to_owned()), plan);
    } else if is_silent(known, record) {
        give_up(known, record, Cause::Disruption("its job is gone".to_owned()), plan);
    } else {
        plan.wake_by(silent_at(known, record));
    }
}

/// A running record and its job.
fn present(known: &Known, record: &Conversion, job: &Job, plan: &mut Plan) {
    let dispatched = record.dispatched_at.unwrap_or(record.created_at);
    let overdue = dispatched.max(job.created_at).max(known.answering_since) + known.limits.pending;
    match &job.phase {
        Phase::Failed(cause) => release(known, record, cause.clone(), plan),
        // Exit 0 without a verdict in the record: superseded by a second process of this very
        // attempt, which may be at work still. Its silence decides.
        Phase::Complete if is_silent(known, record) || !record.is_claimed() => {
            let cause = Cause::Trouble("the job ended without a result".to_owned());
            give_up(known, record, cause, plan);
        }
        Phase::Complete => plan.wake_by(silent_at(known, record)),
        // However long it takes: it is another's turn.
        Phase::Suspended if !record.is_claimed() => {
            let change = Change::Held { attempt: record.attempt };
            plan.actions
                .extend(record.waiting.is_none().then_some(Action::Change(record.id, change)));
        }
        Phase::Evicted(cause) if !record.is_claimed() => {
            take_back(known, record, job, release_silent(record, cause.clone()), plan);
        }
        Phase::Waiting(why) if !record.is_claimed() && overdue <= known.now => {
            let why = why.clone().unwrap_or_else(|| "the job did not start in time".to_owned());
            take_back(known, record, job, release_silent(record, Cause::NeverStarted(why)), plan);
        }
        Phase::Running if !record.is_claimed() && overdue <= known.now => {
            let why = format!("attempt {} started but never reached its storage", record.attempt);
            take_back(known, record, job, release_silent(record, Cause::Trouble(why)), plan);
        }
        // Nobody rings when it is claimed, and it may die before anything else does.
        Phase::Waiting(_) | Phase::Running if !record.is_claimed() => {
            plan.wake_by(overdue.min(known.now + SILENCE));
        }
        // Kueue gave its room to another while it was at work, and perhaps gave it back since.
        Phase::Suspended | Phase::Waiting(_) | Phase::Running
            if is_silent(known, record) && was_suspended(record, job) =>
        {
            let cause = Cause::Disruption("its Job was suspended again".to_owned());
            take_back(known, record, job, release_silent(record, cause), plan);
        }
        Phase::Evicted(cause) if is_silent(known, record) => {
            take_back(known, record, job, release_silent(record, cause.clone()), plan);
        }
        Phase::Waiting(_) | Phase::Running if is_silent(known, record) => {
            let cause = Cause::Trouble(format!("attempt {} fell silent", record.attempt));
            take_back(known, record, job, release_silent(record, cause), plan);
        }
        Phase::Suspended | Phase::Waiting(_) | Phase::Running | Phase::Evicted(_) => {
            plan.wake_by(silent_at(known, record))
        }
    }
}

/// Whether the Job stands still, or has begun anew since its attempt was at work: long after its dispatch,
/// so that a clock that is behind does not look like it.
fn was_suspended(record: &Conversion, job: &Job) -> bool {
    let before = |at: Timestamp| at < job.created_at;
    job.phase == Phase::Suspended
        || record.alive_at.is_some_and(before)
            && record.dispatched_at.is_some_and(|at| before(at + SILENCE))
}

/// Its slot is free once that is written; or it shows life after all, and has a new deadline.
fn take_back(known: &Known, record: &Conversion, job: &Job, change: Change, plan: &mut Plan) {
    plan.actions.push(Action::TakeBack(record.id, change, job.name.clone()));
    plan.wake_by(known.now);
}

/// Takes back an attempt whose job has ended. Its slot is free once that is written.
fn release(known: &Known, record: &Conversion, cause: Cause, plan: &mut Plan) {
    let change = Change::Release { attempt: record.attempt, cause };
    plan.actions.push(Action::Change(record.id, change));
    plan.wake_by(known.now);
}

/// Takes back an attempt of which nobody is seen to be at work.
fn give_up(known: &Known, record: &Conversion, cause: Cause, plan: &mut Plan) {
    plan.actions.push(Action::Change(record.id, release_silent(record, cause)));
    plan.wake_by(known.now);
}

/// Unless it shows life after all, or for the first time.
fn release_silent(record: &Conversion, cause: Cause) -> Change {
    Change::ReleaseSilent { attempt: record.attempt, seen: record.alive_at, cause }
}

fn silent_at(known: &Known, record: &Conversion) -> Timestamp {
    let shown = record.alive_at.or(record.dispatched_at).unwrap_or(record.created_at);
    shown.max(known.answering_since) + SILENCE
}

fn is_silent(known: &Known, record: &Conversion) -> bool {
    silent_at(known, record) <= known.now
}

/// Jobs that are alive though their record does not stand for them.
fn stale(known: &Known, plan: &mut Plan) {
    let records: HashMap<_, _> =
        known.running.iter().chain(&known.others).map(|record| (record.id, record)).collect();
    for job in known.jobs.iter().filter(|job| job.phase.is_alive()) {
        // Jobs were read before the records: a job without one belongs to what has been deleted.
        let Some(record) = records.get(&job.conversion) else {
            plan.actions.push(Action::Delete(job.name.clone()));
            continue;
        };
        match record.state {
            State::Running if record.attempt == job.attempt => {}
            State::Succeeded | State::Failed if record.attempt == job.attempt => {
                let until = record.finished_at.unwrap_or(known.now) + LINGER;
                if until <= known.now {
                    plan.actions.push(Action::Delete(job.name.clone()));
                } else {
                    plan.wake_by(until);
                }
            }
            _ => plan.actions.push(Action::Delete(job.name.clone())),
        }
    }
}

/// Announces what its gateway could not. It gets a while to do so itself.
fn announce(known: &Known, plan: &mut Plan) {
    for record in &known.unannounced {
        match record.created_at + ANNOUNCE_AFTER {
            at if at <= known.now => plan.actions.push(Action::Announce(record.id)),
            at => plan.wake_by(at),
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
