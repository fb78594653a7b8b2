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
    assert_eq!(plan(90, 50).wake_at, Some(at(110)));
    assert!(!plan(110, 50).actions.is_empty());
    assert!(!plan(90, 0).actions.is_empty());
}

#[test]
fn a_job_that_is_suspended_again_is_no_failure() {
    let record = running(true);
    let plan = |now| decide(&known(now, &record, Phase::Suspended, 0, 0));
    assert_eq!(plan(11).actions, []);
    let [Action::Change(_, Change::Release { cause, .. }), Action::Delete(_)] =
        &plan(12).actions[..]
    else {
        panic!("{:?}", plan(12))
    };
    assert!(matches!(cause, Cause::Disruption(_)), "{cause:?}");
}
