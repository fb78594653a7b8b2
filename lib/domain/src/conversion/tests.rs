//! The state machine under examples and under random histories.

use super::*;
use proptest::prelude::*;

fn queued() -> Conversion {
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
        (0..4_u32).prop_map(|claim| Change::Progress { claim, percent: Some(200), pace: None }),
        (0..4_u32).prop_map(move |claim| Change::Succeed { claim, mp3: mp3.clone() }),
        (0..4_u32).prop_map(move |claim| Change::Fail { claim, failure: failure.clone() }),
        (0..4_u32, cause).prop_map(|(attempt, cause)| Change::Release { attempt, cause }),
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
            let repeatable = !matches!(change, Change::Claim { .. } | Change::Progress { .. } | Change::Release { .. });
            prop_assert!(!repeatable || already == Ok(Applied::Already), "{:?} -> {:?}", change, already);
            record = *next;
        }
    }
}
