//! The known mistakes of systems like ours, made once each: every one must be found by the histories.

use super::{
    Decider, History, SEEDS,
    world::{Flaw, Rules},
};
use crate::decide::{Action, Change, Known, Plan, decide};

/// A plan as the decider makes it, without some of its actions.
fn without(known: &Known, left_out: fn(&Action) -> bool) -> Plan {
    let mut plan = decide(known);
    plan.actions.retain(|action| !left_out(action));
    plan
}

/// Whether an attempt is taken back for a cause in these words.
fn takes_back(action: &Action, words: &str) -> bool {
    let (Action::Change(_, change) | Action::TakeBack(_, change, _)) = action else { return false };
    let (Change::Release { cause, .. } | Change::ReleaseSilent { cause, .. }) = change else {
        return false;
    };
    cause.detail().contains(words)
}

/// Only what was just chosen gets a Job: as when a message is acked before its Job exists.
fn creates_once(known: &Known) -> Plan {
    without(known, |action| matches!(action, Action::Launch(_)))
}

/// Waits for ever for a process that stands still.
fn waits_for_the_silent(known: &Known) -> Plan {
    decide(&Known { answering_since: known.now, ..known.clone() })
}

/// Only some histories show it: an attempt is never taken back whose Job went away under it.
pub(super) fn misses_no_job(known: &Known) -> Plan {
    without(known, |action| takes_back(action, "its job is gone"))
}

/// Takes the exit code 0 of a Job for success.
fn believes_exit_codes(known: &Known) -> Plan {
    without(known, |action| takes_back(action, "ended without a result"))
}

/// Leaves Jobs to themselves once their record is final or has gone on.
fn leaves_jobs(known: &Known) -> Plan {
    let mut plan = decide(known);
    plan.actions.retain(|action| !matches!(action, Action::Delete(_)));
    for action in &mut plan.actions {
        if let Action::TakeBack(id, change, _) = action {
            *action = Action::Change(*id, change.clone());
        }
    }
    plan
}

/// Leaves the event to whoever wrote the result, who may be dead.
fn leaves_events(known: &Known) -> Plan {
    without(known, |action| matches!(action, Action::Publish(_)))
}

/// Forgets the number of the attempt, and begins at 1 again.
fn begins_at_one(known: &Known) -> Plan {
    let mut plan = decide(known);
    for action in &mut plan.actions {
        if let Action::Dispatch(_, attempt) = action {
            *attempt = 1;
        }
    }
    plan
}

/// First come, first served.
fn is_a_plain_queue(known: &Known) -> Plan {
    let mut plan = decide(known);
    let chosen = |action: &Action| matches!(action, Action::Dispatch(..));
    let count = plan.actions.iter().filter(|action| chosen(action)).count();
    plan.actions.retain(|action| !chosen(action));
    let mut due: Vec<_> = known.due.iter().collect();
    due.sort_by_key(|record| (record.created_at, record.id));
    let first = due.into_iter().take(count);
    plan.actions.extend(first.map(|record| Action::Dispatch(record.id, record.attempt + 1)));
    plan
}

/// Counts what it has just been told of, and not what it has begun.
fn fills_every_slot(known: &Known) -> Plan {
    let idle = Known { jobs: Vec::new(), running: Vec::new(), ..known.clone() };
    let mut plan = decide(known);
    plan.actions.retain(|action| !matches!(action, Action::Dispatch(..)));
    let chosen = decide(&idle).actions.into_iter();
    plan.actions.extend(chosen.filter(|action| matches!(action, Action::Dispatch(..))));
    plan
}

/// Tells of a deadline to nobody.
fn sets_no_alarm(known: &Known) -> Plan {
    Plan { wake_at: None, ..decide(known) }
}

const OF_DECIDERS: &[(&str, Decider)] = &[
    ("message acked before the Job exists", creates_once),
    ("no heartbeat, or nobody looks at it", waits_for_the_silent),
    ("a Job that is gone is not missed", misses_no_job),
    ("exit code 0 taken for success", believes_exit_codes),
    ("Jobs left behind", leaves_jobs),
    ("event sent by the worker alone", leaves_events),
    ("attempts counted anew", begins_at_one),
    ("first come, first served", is_a_plain_queue),
    ("slots counted from a failed list", fills_every_slot),
    ("deadline without an alarm", sets_no_alarm),
];

const OF_RULES: &[(&str, Flaw)] = &[
    ("commit without epoch", Flaw::CommitsWithoutClaim),
    ("event marked before it is sent", Flaw::MarksBeforeSending),
    ("result visible before it is whole", Flaw::CommitsBeforeStoring),
    ("a final state that changes", Flaw::RevivesTheDead),
];

#[test]
fn every_known_mistake_is_found() {
    let deciders = OF_DECIDERS.iter().map(|(name, it)| (*name, Rules { decider: *it, flaw: None }));
    let rules = OF_RULES
        .iter()
        .map(|(name, flaw)| (*name, Rules { decider: decide as Decider, flaw: Some(*flaw) }));
    let mut missed = Vec::new();
    for (name, rules) in deciders.chain(rules) {
        let find = |seed| History::of(seed).fault(rules).map(|fault| (seed, fault));
        match (0..SEEDS).find_map(find) {
            Some((seed, fault)) => eprintln!("{name}: seed {seed}: {:.60}", fault),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
