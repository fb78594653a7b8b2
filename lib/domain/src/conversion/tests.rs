//! The state machine under examples and under random histories.

use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::slice;

/// One of ada's that waits.
pub(crate) fn queued() -> Conversion {
    let video = Video {
        id: VideoId::generate(),
        owner: "ada".parse().unwrap(),
        name: FileName::from("film.mp4".to_owned()),
        length: 10,
        sha256: Sha256::from([7; 32]),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    };
    let new = NewConversion {
        video: &video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    Conversion::new(ConversionId::generate(), new, Timestamp::UNIX_EPOCH)
}

fn mp3(conversion: &Conversion, claim: u32) -> Mp3 {
    Mp3 {
        id: conversion.id.mp3(claim),
        length: 1,
        sha256: Sha256::from([1; 32]),
        duration_ms: 1,
        loudness: None,
    }
}

fn after(conversion: &Conversion, changes: &[Change]) -> Conversion {
    changes.iter().fold(conversion.clone(), |record, change| {
        match record.apply(change, Timestamp::UNIX_EPOCH).unwrap() {
            Applied::Changed(next) => *next,
            Applied::Already => record,
        }
    })
}

#[test]
fn the_second_claim_of_one_attempt_fences_the_first_out() {
    let twice = after(
        &queued(),
        &[
            Change::Dispatch { attempt: 1 },
            Change::Claim { attempt: 1 },
            Change::Claim { attempt: 1 },
        ],
    );
    let late = Change::Succeed { claim: 1, mp3: mp3(&twice, 1) };
    assert_eq!(twice.apply(&late, Timestamp::UNIX_EPOCH), Err(Refused::Superseded));
    let done = after(&twice, &[Change::Succeed { claim: 2, mp3: mp3(&twice, 2) }]);
    assert_eq!(done.state, State::Succeeded);
    let again = Change::Succeed { claim: 2, mp3: mp3(&twice, 2) };
    assert_eq!(done.apply(&again, Timestamp::UNIX_EPOCH), Ok(Applied::Already));
}

#[test]
fn trouble_is_tried_three_times_and_disruption_costs_nothing() {
    let mut record = queued();
    for attempt in 1..=10 {
        record = after(
            &record,
            &[
                Change::Dispatch { attempt },
                Change::Release { attempt, cause: Cause::Disruption(String::new()) },
            ],
        );
    }
    assert_eq!((record.state, record.failures), (State::Queued, 0));
    for attempt in 11..=13 {
        let cause = Cause::Trouble("disk".to_owned());
        record =
            after(&record, &[Change::Dispatch { attempt }, Change::Release { attempt, cause }]);
    }
    assert_eq!(record.failure.unwrap().reason, Reason::AttemptsExhausted);
    let remembered: Vec<_> = record.setbacks.iter().map(|setback| setback.attempt).collect();
    assert_eq!(remembered, [9, 10, 11, 12, 13]);
}

#[test]
fn memory_is_tried_once_more() {
    let first = after(
        &queued(),
        &[
            Change::Dispatch { attempt: 1 },
            Change::Release { attempt: 1, cause: Cause::OutOfMemory(String::new()) },
        ],
    );
    assert_eq!((first.state, first.out_of_memory), (State::Queued, true));
    let second = after(
        &first,
        &[
            Change::Dispatch { attempt: 2 },
            Change::Release { attempt: 2, cause: Cause::OutOfMemory(String::new()) },
        ],
    );
    assert_eq!(second.failure.unwrap().reason, Reason::OutOfMemory);
}

#[test]
fn an_attempt_that_was_taken_back_cannot_commit() {
    let back = after(
        &queued(),
        &[
            Change::Dispatch { attempt: 1 },
            Change::Claim { attempt: 1 },
            Change::Release { attempt: 1, cause: Cause::Disruption(String::new()) },
            Change::Dispatch { attempt: 2 },
        ],
    );
    let late = Change::Succeed { claim: 1, mp3: mp3(&back, 1) };
    assert_eq!(back.apply(&late, Timestamp::UNIX_EPOCH), Err(Refused::Superseded));
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn release(attempt: u32, cause: Cause) -> Change {
    Change::Release { attempt, cause }
}

#[test]
fn each_change_applies_where_it_makes_sense() {
    use State::{Cancelled, Failed, Queued, Running, Succeeded};
    let (dispatch, claim) = (Change::Dispatch { attempt: 1 }, Change::Claim { attempt: 1 });
    let queued = queued();
    let running = after(&queued, slice::from_ref(&dispatch));
    let claimed = after(&running, slice::from_ref(&claim));
    let succeed = Change::Succeed { claim: 1, mp3: mp3(&queued, 1) };
    let failure = |detail: &str| Failure { reason: Reason::NotMedia, detail: detail.to_owned() };
    let fail = |claim, detail| Change::Fail { claim, failure: failure(detail) };
    let progress = |claim| Change::Progress { claim, percent: Some(5), pace: None };
    let no_room = |attempt| Change::NoRoom { attempt, why: "full".to_owned() };
    let silent = |attempt, seen| {
        let cause = Cause::Trouble(String::new());
        Change::ReleaseSilent { attempt, seen, cause }
    };
    let (held, trouble) = (Change::Held { attempt: 1 }, Cause::Trouble(String::new()));
    let (succeeded, failed) =
        (after(&claimed, slice::from_ref(&succeed)), after(&claimed, &[fail(1, "")]));
    let cancelled = after(&queued, &[Change::Cancel]);
    let announced = after(&queued, &[Change::Announced]);
    let published = after(&succeeded, &[Change::Published]);
    let again = after(&claimed, &[release(1, trouble.clone()), Change::Dispatch { attempt: 2 }]);
    let wrong = |state| Err(Refused::WrongState(state));
    let terminal = |state| Err(Refused::Terminal(state));
    for (record, change, wanted) in [
        (&queued, Change::Dispatch { attempt: 0 }, Err(Refused::Superseded)),
        (&queued, Change::Dispatch { attempt: 2 }, Err(Refused::Superseded)),
        (&running, dispatch.clone(), Ok(false)),
        (&running, Change::Dispatch { attempt: 2 }, wrong(Running)),
        (&succeeded, dispatch, terminal(Succeeded)),
        (&queued, held.clone(), wrong(Queued)),
        (&running, held.clone(), Ok(true)),
        (&running, Change::Held { attempt: 2 }, Err(Refused::Superseded)),
        (&claimed, held, Err(Refused::Superseded)),
        (&queued, no_room(0), wrong(Queued)),
        (&running, no_room(1), Ok(true)),
        (&running, no_room(2), Err(Refused::Superseded)),
        (&claimed, no_room(1), Err(Refused::Superseded)),
        (&queued, claim.clone(), wrong(Queued)),
        (&again, claim, Err(Refused::Superseded)),
        (&again, progress(1), Err(Refused::Superseded)),
        (&claimed, progress(2), Err(Refused::Superseded)),
        (&running, progress(0), Err(Refused::Superseded)),
        (&queued, progress(0), Err(Refused::Superseded)),
        (&claimed, progress(1), Ok(true)),
        (&succeeded, succeed, Ok(false)),
        (&failed, fail(1, ""), Ok(false)),
        (&failed, fail(2, ""), terminal(Failed)),
        (&failed, fail(1, "another"), terminal(Failed)),
        (&claimed, release(2, trouble.clone()), Err(Refused::Superseded)),
        (&claimed, silent(1, claimed.alive_at), Ok(true)),
        (&claimed, silent(1, None), Err(Refused::Superseded)),
        (&claimed, silent(2, claimed.alive_at), Err(Refused::Superseded)),
        (&queued, release(0, trouble.clone()), wrong(Queued)),
        (&cancelled, release(1, trouble), terminal(Cancelled)),
        (&cancelled, Change::Cancel, Ok(false)),
        (&succeeded, Change::Cancel, terminal(Succeeded)),
        (&queued, Change::Announced, Ok(true)),
        (&announced, Change::Announced, Ok(false)),
        (&published, Change::Published, Ok(false)),
        (&claimed, Change::Published, wrong(Running)),
        (&succeeded, Change::Published, Ok(true)),
        (&succeeded, Change::Expire, wrong(Succeeded)),
        (&succeeded, Change::Replace, Ok(true)),
        (&failed, Change::Replace, wrong(Failed)),
    ] {
        let found = record.apply(&change, at(9)).map(|it| matches!(it, Applied::Changed(_)));
        assert_eq!(found, wanted, "{change:?} of {record:?}");
    }
    let refused = after(&running, &[no_room(1)]);
    assert_eq!((refused.state, refused.waiting.as_deref()), (Queued, Some("full")));
    assert_eq!((refused.not_before, refused.setbacks.len()), (queued.not_before, 0));
    let held = after(&running, &[Change::Held { attempt: 1 }]);
    let Ok(Applied::Changed(begun)) = held.apply(&Change::Claim { attempt: 1 }, at(500)) else {
        panic!("{held:?}")
    };
    assert_eq!((begun.waiting, begun.dispatched_at), (None, Some(at(500))));
    assert!(held.waiting.is_some());
    assert_eq!(claimed.dispatched_at, Some(at(0)));
}

#[test]
fn each_cause_has_its_wait() {
    let back = |record: &Conversion, attempt, cause| {
        let running = after(record, &[Change::Dispatch { attempt }]);
        let Ok(Applied::Changed(next)) = running.apply(&release(attempt, cause), at(1000)) else {
            panic!("{running:?}")
        };
        *next
    };
    let trouble = || Cause::Trouble("disk".to_owned());
    let once = back(&queued(), 1, trouble());
    let twice = back(&once, 2, trouble());
    let late = back(&twice, 3, Cause::NeverStarted("no image".to_owned()));
    let ran_out = back(&late, 4, Cause::OutOfMemory(String::new()));
    let disrupted = back(&ran_out, 5, Cause::Disruption(String::new()));
    let all = [&once, &twice, &late, &ran_out, &disrupted];
    assert_eq!(all.map(|it| it.not_before), [1000, 1004, 1030, 1000, 1000].map(at));
    assert_eq!(all.map(|it| it.failures), [1, 2, 2, 2, 2]);
    assert_eq!(all.map(|it| it.was_interrupted()), [true, true, false, false, false]);
    assert_eq!(late.waiting.as_deref(), Some("no image"));
    assert!(!late.out_of_memory && ran_out.out_of_memory);
    assert_eq!(back(&disrupted, 6, trouble()).state, State::Failed);
}

#[test]
fn an_mp3_expires_when_its_time_is_over_or_another_takes_its_place() {
    let kept = Conversion { mp3_kept_for: Some(SignedDuration::from_secs(60)), ..queued() };
    let claimed = after(&kept, &[Change::Dispatch { attempt: 1 }, Change::Claim { attempt: 1 }]);
    let done = after(&claimed, &[Change::Succeed { claim: 1, mp3: mp3(&kept, 1) }]);
    assert_eq!(done.mp3_expires_at, Some(at(60)));
    assert_eq!(done.apply(&Change::Expire, at(59)), Err(Refused::WrongState(State::Succeeded)));
    assert!(matches!(done.apply(&Change::Expire, at(60)), Ok(Applied::Changed(_))));
    let Ok(Applied::Changed(replaced)) = done.apply(&Change::Replace, at(5)) else {
        panic!("{done:?}")
    };
    assert_eq!(replaced.mp3_expires_at, Some(at(5)));
    assert_eq!(replaced.apply(&Change::Replace, at(6)), Ok(Applied::Already));
    let Ok(Applied::Changed(expired)) = replaced.apply(&Change::Expire, at(6)) else {
        panic!("{replaced:?}")
    };
    assert_eq!(expired.apply(&Change::Expire, at(7)), Ok(Applied::Already));
}

fn any_change() -> impl Strategy<Value = Change> {
    let cause = prop_oneof![
        Just(Cause::Trouble(String::new())),
        Just(Cause::Disruption(String::new())),
        Just(Cause::OutOfMemory(String::new())),
        Just(Cause::NeverStarted(String::new())),
    ];
    let failure = Failure { reason: Reason::NotMedia, detail: String::new() };
    let mp3 = Mp3 {
        id: Mp3Id::from(uuid::Uuid::nil()),
        length: 0,
        sha256: Sha256::from([0; 32]),
        duration_ms: 0,
        loudness: None,
    };
    prop_oneof![
        Just(Change::Announced),
        Just(Change::Published),
        Just(Change::Cancel),
        Just(Change::Replace),
        Just(Change::Expire),
        (0..4_u32).prop_map(|attempt| Change::Dispatch { attempt }),
        (0..4_u32).prop_map(|attempt| Change::Claim { attempt }),
        (0..4_u32).prop_map(|attempt| Change::Held { attempt }),
        (0..4_u32).prop_map(|claim| Change::Progress { claim, percent: Some(200), pace: None }),
        (0..4_u32).prop_map(move |claim| Change::Succeed { claim, mp3: mp3.clone() }),
        (0..4_u32).prop_map(move |claim| Change::Fail { claim, failure: failure.clone() }),
        (0..4_u32, cause.clone()).prop_map(|(attempt, cause)| Change::Release { attempt, cause }),
        (0..4_u32, cause).prop_map(|(attempt, cause)| Change::ReleaseSilent {
            attempt,
            seen: (attempt > 1).then_some(Timestamp::UNIX_EPOCH),
            cause
        }),
        (0..4_u32).prop_map(|attempt| Change::NoRoom { attempt, why: String::new() }),
    ]
}

proptest! {
    #[test]
    fn no_history_breaks_the_record(changes in prop::collection::vec(any_change(), 0..60)) {
        let mut record = queued();
        for change in &changes {
            let Ok(Applied::Changed(next)) = record.apply(change, Timestamp::UNIX_EPOCH) else { continue };
            prop_assert!(next.attempt >= record.attempt && next.claim >= record.claim);
            if record.state.is_terminal() {
                let mut same = (*next).clone();
                (same.announced, same.published) = (record.announced, record.published);
                (same.mp3_expires_at, same.mp3_expired) =
                    (record.mp3_expires_at, record.mp3_expired);
                prop_assert!(!next.mp3_expired || next.mp3_expires_at.is_some());
                prop_assert_eq!(&same, &record);
            }
            prop_assert_eq!(next.mp3.is_some(), next.state == State::Succeeded);
            prop_assert_eq!(next.failure.is_some(), next.state == State::Failed);
            prop_assert_eq!(next.finished_at.is_some(), next.state.is_terminal());
            let already = next.apply(change, Timestamp::UNIX_EPOCH);
            let repeatable = !matches!(change, Change::Claim { .. } | Change::Held { .. } | Change::Progress { .. } | Change::Release { .. } | Change::ReleaseSilent { .. } | Change::NoRoom { .. });
            prop_assert!(!repeatable || already == Ok(Applied::Already), "{:?} -> {:?}", change, already);
            record = *next;
        }
    }
}
