//! Outages are nobody's fault: what could not be shown, or not be started, is not held against an
//! attempt.

use super::*;
use crate::samples;
use domain::{Applied, VideoId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// Dispatched at 0, and perhaps claimed then.
fn running(claimed: bool) -> Conversion {
    let video = samples::video(VideoId::generate(), at(0));
    let record = samples::conversion(ConversionId::generate(), &video, at(0));
    let changes = [Change::Dispatch { attempt: 1 }, Change::Claim { attempt: 1 }];
    changes[..1 + usize::from(claimed)].iter().fold(record, |record, change| {
        match record.apply(change, at(0)).unwrap() {
            Applied::Changed(next) => *next,
            Applied::Already => record,
        }
    })
}

fn known(now: i64, record: &Conversion, phase: Phase, created: i64, answering: i64) -> Known {
    let job = Job {
        name: job_name(record.id, 1),
        conversion: record.id,
        attempt: 1,
        created_at: at(created),
        phase,
    };
    Known {
        now: at(now),
        answering_since: at(answering),
        limits: Limits { jobs: 3, per_user: 3, pending: SignedDuration::from_secs(60) },
        jobs: vec![job],
        running: vec![record.clone()],
        ..Known::nothing()
    }
}

#[test]
fn who_could_not_show_life_is_not_silent() {
    let record = running(true);
    let plan = |now, answering| decide(&known(now, &record, Phase::Running, 0, answering));
    assert_eq!(plan(30, 25).actions, []);
    assert_eq!(plan(30, 25).wake_at, Some(at(25) + SILENCE));
    assert!(!plan(40, 25).actions.is_empty());
    assert!(!plan(30, 0).actions.is_empty());
}

#[test]
fn a_job_that_was_created_late_has_its_whole_time() {
    let record = running(false);
    let plan = |now, created| decide(&known(now, &record, Phase::Waiting(None), created, 0));
    assert_eq!(plan(90, 50).actions, []);
    // By then it may have been claimed, and have fallen silent.
    assert_eq!(plan(90, 50).wake_at, Some(at(90) + SILENCE));
    assert_eq!(plan(100, 50).wake_at, Some(at(110)));
    assert!(!plan(110, 50).actions.is_empty());
    assert!(!plan(90, 0).actions.is_empty());
}

#[test]
fn a_job_that_is_suspended_again_is_no_failure() {
    let record = running(true);
    let plan = |now| decide(&known(now, &record, Phase::Suspended, 0, 0));
    assert_eq!(plan(11).actions, []);
    let [Action::TakeBack(_, Change::ReleaseSilent { cause, .. }, _)] = &plan(12).actions[..]
    else {
        panic!("{:?}", plan(12))
    };
    assert!(matches!(cause, Cause::Disruption(_)), "{cause:?}");
}

#[test]
fn a_job_that_was_suspended_and_begins_anew_is_no_failure() {
    let record = running(true);
    for phase in [Phase::Waiting(None), Phase::Running] {
        let plan = decide(&known(20, &record, phase, 13, 0));
        let [Action::TakeBack(_, Change::ReleaseSilent { cause, .. }, _)] = &plan.actions[..]
        else {
            panic!("{plan:?}")
        };
        assert!(matches!(cause, Cause::Disruption(_)), "{cause:?}");
    }
    // A clock that is behind, in place of a Job that began anew.
    let plan = decide(&known(20, &record, Phase::Running, 12, 0));
    assert!(matches!(
        &plan.actions[..],
        [Action::TakeBack(_, Change::ReleaseSilent { cause: Cause::Trouble(_), .. }, _)]
    ));
}

#[test]
fn one_that_is_taken_off_before_it_starts_goes_elsewhere_at_once() {
    let why = Cause::Disruption("its node is lost".to_owned());
    let evicted = || Some(Phase::Evicted(why.clone()));
    let (taken, _) = actions(1, false, evicted());
    let [Action::TakeBack(_, change, _)] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!(*cause_of(change, false), why);
    // It had begun, and its kubelet could not say so.
    assert_eq!(actions(11, true, evicted()), (vec![], Some(at(12))));
    assert_eq!(taken_back(12, true, evicted()), Some(("disruption", true)));
}

/// What is done about a record, dispatched at 0 and perhaps claimed then, and its job.
fn actions(now: i64, claimed: bool, phase: Option<Phase>) -> (Vec<Action>, Option<Timestamp>) {
    let record = running(claimed);
    let mut known = known(now, &record, phase.clone().unwrap_or(Phase::Running), 0, 0);
    known.jobs.retain(|_| phase.is_some());
    let plan = decide(&known);
    (plan.actions, plan.wake_at)
}

/// Of a change that is refused should life be shown, if only its job's end does not say it all.
fn cause_of(change: &Change, claimed: bool) -> &Cause {
    match change {
        Change::Release { attempt: 1, cause } => cause,
        Change::ReleaseSilent { attempt: 1, seen, cause } if *seen == claimed.then(|| at(0)) => {
            cause
        }
        other => panic!("{other:?}"),
    }
}

/// The causes for which the attempt is taken back, and whether its job is deleted then.
fn taken_back(now: i64, claimed: bool, phase: Option<Phase>) -> Option<(&'static str, bool)> {
    match &actions(now, claimed, phase).0[..] {
        [] => None,
        [Action::Change(_, change)] => Some((cause_of(change, claimed).name(), false)),
        [Action::TakeBack(_, change @ Change::ReleaseSilent { .. }, _)] => {
            Some((cause_of(change, claimed).name(), true))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_that_is_absent_is_made_or_missed() {
    for now in [0, 100] {
        let made = actions(now, false, None).0;
        assert!(matches!(made[..], [Action::Launch(_)]), "{made:?}");
    }
    assert_eq!(actions(11, true, None), (vec![], Some(at(12))));
    assert_eq!(taken_back(12, true, None), Some(("disruption", false)));
    let record = running(true);
    let dead =
        Known { jobs: Vec::new(), absent_is_dead: true, ..known(1, &record, Phase::Running, 0, 0) };
    assert!(matches!(decide(&dead).actions[..], [Action::Change(..)]));
}

#[test]
fn a_slot_that_was_given_away_twice_gets_one_job() {
    let launched = |known: &Known| {
        let actions = decide(known).actions;
        actions.iter().filter(|it| matches!(it, Action::Launch(_))).count()
    };
    let begun = running(true);
    let one = known(1, &begun, Phase::Running, 0, 0);
    let mut all: Vec<_> = (0..4).map(|_| running(false)).collect();
    assert_eq!(launched(&Known { jobs: Vec::new(), running: all.clone(), ..one.clone() }), 3);
    all.push(begun.clone());
    assert_eq!(launched(&Known { running: all.clone(), ..one.clone() }), 2);
    // It is at work though its job is not listed.
    assert_eq!(launched(&Known { jobs: Vec::new(), running: all, ..one }), 2);
}

#[test]
fn who_begins_just_then_is_not_taken_back() {
    let begins = |change: &Change| running(true).apply(change, at(1)).unwrap_err();
    for (now, phase) in [(60, Phase::Waiting(None)), (60, Phase::Running), (0, Phase::Complete)] {
        match &actions(now, false, Some(phase)).0[..] {
            [Action::TakeBack(_, change, _) | Action::Change(_, change)] => drop(begins(change)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_that_has_ended_is_believed_only_if_it_failed() {
    let failed = || Some(Phase::Failed(Cause::OutOfMemory("killed".to_owned())));
    for claimed in [false, true] {
        assert_eq!(taken_back(0, claimed, failed()), Some(("out_of_memory", false)));
    }
    let complete = || Some(Phase::Complete);
    // Nobody has worked on it, and nobody will.
    assert_eq!(taken_back(0, false, complete()), Some(("trouble", false)));
    // Perhaps a second process of the attempt is at work.
    assert_eq!(actions(11, true, complete()), (vec![], Some(at(12))));
    assert_eq!(taken_back(12, true, complete()), Some(("trouble", false)));
}

#[test]
fn what_does_not_begin_is_taken_back_in_time_and_what_is_held_back_never() {
    let waiting = || Some(Phase::Waiting(Some("ImagePullBackOff".to_owned())));
    assert_eq!(actions(59, false, waiting()), (vec![], Some(at(60))));
    assert_eq!(taken_back(60, false, waiting()), Some(("never_started", true)));
    let started = || Some(Phase::Running);
    assert_eq!(actions(59, false, started()), (vec![], Some(at(60))));
    assert_eq!(taken_back(60, false, started()), Some(("trouble", true)));
    let held = actions(1000, false, Some(Phase::Suspended));
    assert!(matches!(held.0[..], [Action::Change(_, Change::Held { attempt: 1 })]), "{held:?}");
    let told = Conversion { waiting: Some("held".to_owned()), ..running(false) };
    assert_eq!(decide(&known(1000, &told, Phase::Suspended, 0, 0)), Plan::default());
}

#[test]
fn who_falls_silent_is_taken_back_wherever_its_job_stands() {
    for phase in [Phase::Running, Phase::Waiting(None)] {
        assert_eq!(actions(11, true, Some(phase.clone())), (vec![], Some(at(12))));
        assert_eq!(taken_back(12, true, Some(phase)), Some(("trouble", true)));
    }
}

#[test]
fn a_job_lives_as_long_as_its_record_stands_for_it() {
    let stale = |record: Conversion, now| {
        let known = known(now, &record, Phase::Running, 0, 0);
        let plan = decide(&Known { running: Vec::new(), others: vec![record], ..known });
        (plan.actions, plan.wake_at)
    };
    let deleted = |it: (Vec<Action>, _)| matches!(it.0[..], [Action::Delete(_)]);
    let ended =
        |state, attempt| Conversion { state, attempt, finished_at: Some(at(0)), ..running(true) };
    for state in [State::Succeeded, State::Failed] {
        // It ends by itself, mostly.
        assert_eq!(stale(ended(state, 1), 59), (vec![], Some(at(60))));
        assert!(deleted(stale(ended(state, 1), 60)));
        assert!(deleted(stale(ended(state, 2), 0)));
    }
    assert!(deleted(stale(ended(State::Cancelled, 1), 0)));
    assert!(deleted(stale(ended(State::Queued, 1), 0)));
    // Of a record that is gone, and of an earlier attempt.
    let record = running(true);
    let all = known(1, &record, Phase::Running, 0, 0);
    assert!(deleted((decide(&Known { running: Vec::new(), ..all.clone() }).actions, None)));
    let next = Conversion { attempt: 2, claimed_attempt: 1, ..record };
    let actions = decide(&Known { running: vec![next], ..all }).actions;
    assert!(matches!(actions[..], [Action::Launch(_), Action::Delete(_)]), "{actions:?}");
}

#[test]
fn a_gateway_has_a_while_to_announce() {
    let video = samples::video(VideoId::generate(), at(0));
    let record = samples::conversion(ConversionId::generate(), &video, at(0));
    let plan = |now| {
        decide(&Known { now: at(now), unannounced: vec![record.clone()], ..Known::nothing() })
    };
    assert_eq!((plan(4).actions, plan(4).wake_at), (vec![], Some(at(5))));
    assert_eq!(plan(5).actions, [Action::Announce(record.id)]);
}
