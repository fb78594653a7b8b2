//! The conversion: its record and the only changes it can go through.
//!
//! `Conversion::apply` is the whole state machine. Stores carry a change out as one compare-and-set
//! of the record they read, so whatever is refused here can never be written by anyone.

use crate::{
    Cause, ConversionId, EventId, FileName, Mp3Id, Options, Reason, Role, Sha256, UserName, Video,
    VideoId,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Attempts that may end in trouble before the conversion fails.
const MAX_FAILURES: u32 = 3;
/// Wait after the first troubled attempt; each further one waits four times as long.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(1);
/// Wait before a job that never started is tried again.
const NEVER_STARTED_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// Where a conversion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for its turn.
    Queued,
    /// An attempt has been dispatched.
    Running,
    /// The MP3 is there. Final.
    Succeeded,
    /// It failed for a reason that stays. Final.
    Failed,
    /// Its owner called it off. Final.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Whether it can never change again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word for it in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stored MP3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3 {
    /// Its id, which is also the name of the stored bytes.
    pub id: Mp3Id,
    /// Bytes.
    pub length: u64,
    /// Of all its bytes.
    pub sha256: Sha256,
    /// Milliseconds of sound.
    pub duration_ms: u64,
}

/// Why a conversion failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub reason: Reason,
    /// What was seen, for operators; may be empty.
    pub detail: String,
}

/// What a client sent so that a repeated request changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The client's key; unique per owner.
    pub key: String,
}

/// What a new conversion is made from.
#[derive(Clone, Debug)]
pub struct NewConversion<'a> {
    /// The video to convert.
    pub video: &'a Video,
    /// The role of its owner.
    pub role: Role,
    /// How.
    pub options: Options,
    /// The client's key, if it sent one.
    pub idempotency: Option<Idempotency>,
}

/// The record of one video's conversion with one set of options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Its id.
    pub id: ConversionId,
    /// The video it converts.
    pub video: VideoId,
    /// The video's name, for lists and operators.
    pub name: FileName,
    /// Whose it is.
    pub owner: UserName,
    /// The owner's role when it was made.
    pub role: Role,
    /// How to convert.
    pub options: Options,
    /// The client's key.
    pub idempotency: Option<Idempotency>,
    /// Where it stands.
    pub state: State,
    /// Number of the newest attempt dispatched; 0 before the first.
    pub attempt: u32,
    /// Attempts that ended in trouble.
    pub failures: u32,
    /// Whether an attempt has run out of memory; the next gets more.
    pub out_of_memory: bool,
    /// The fencing number: raised by each process that starts to work; only the newest may commit.
    pub claim: u32,
    /// The attempt that raised the claim last.
    pub claimed_attempt: u32,
    /// Whether the `video` message has been published with a confirm.
    pub announced: bool,
    /// Whether the `mp3` event has been published with a confirm.
    pub published: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not dispatched before this time.
    pub not_before: Timestamp,
    /// When its newest attempt was dispatched.
    pub dispatched_at: Option<Timestamp>,
    /// When its newest attempt last showed life.
    pub alive_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// 0 to 100, of the attempt at work.
    pub progress: Option<u8>,
    /// Why it waits, where that is worth saying.
    pub waiting: Option<String>,
    /// The result.
    pub mp3: Option<Mp3>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// The changes that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The `video` message is out.
    Announced,
    /// The dispatcher gives it its next attempt, which has this number.
    Dispatch {
        /// One more than the record's.
        attempt: u32,
    },
    /// A process of this attempt starts to work.
    Claim {
        /// Its attempt.
        attempt: u32,
    },
    /// The holder of the claim shows life.
    Progress {
        /// Its claim.
        claim: u32,
        /// 0 to 100, where known.
        percent: Option<u8>,
    },
    /// The holder of the claim has stored the MP3.
    Succeed {
        /// Its claim.
        claim: u32,
        /// The file.
        mp3: Mp3,
    },
    /// The holder of the claim has found that it cannot be done.
    Fail {
        /// Its claim.
        claim: u32,
        /// Why.
        failure: Failure,
    },
    /// The dispatcher takes the attempt back.
    Release {
        /// Which.
        attempt: u32,
        /// Why.
        cause: Cause,
    },
    /// The owner calls it off.
    Cancel,
    /// The `mp3` event is out.
    Published,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The record as it must be written.
    Changed(Box<Conversion>),
    /// The record says so already; nothing to write.
    Already,
}

/// Why a change does not apply to the record as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The record is final.
    #[error("the conversion is already {}", .0.as_str())]
    Terminal(State),
    /// Another claim or attempt has taken over.
    #[error("another attempt has taken over")]
    Superseded,
    /// The change makes no sense in this state.
    #[error("the conversion is {}", .0.as_str())]
    WrongState(State),
}

impl Conversion {
    /// A conversion that waits for its first attempt.
    pub fn new(id: ConversionId, new: NewConversion<'_>, now: Timestamp) -> Self {
        Self {
            id,
            video: new.video.id,
            name: new.video.name.clone(),
            owner: new.video.owner.clone(),
            role: new.role,
            options: new.options,
            idempotency: new.idempotency,
            state: State::Queued,
            attempt: 0,
            failures: 0,
            out_of_memory: false,
            claim: 0,
            claimed_attempt: 0,
            announced: false,
            published: false,
            created_at: now,
            not_before: now,
            dispatched_at: None,
            alive_at: None,
            finished_at: None,
            progress: None,
            waiting: None,
            mp3: None,
            failure: None,
        }
    }

    /// The id of the event that tells of its MP3.
    pub fn event(&self) -> EventId {
        self.id.event()
    }

    /// Whether a process of the newest attempt has claimed it.
    pub const fn is_claimed(&self) -> bool {
        self.claimed_attempt == self.attempt && self.attempt > 0
    }

    /// The record after `change`, or why there is none.
    ///
    /// A change that the record already shows is `Already`: repeating one after a lost reply is safe.
    pub fn apply(&self, change: &Change, now: Timestamp) -> Result<Applied, Refused> {
        let mut next = self.clone();
        match change {
            Change::Announced if self.announced => return Ok(Applied::Already),
            Change::Announced => next.announced = true,
            Change::Published if self.published => return Ok(Applied::Already),
            Change::Published if self.state == State::Succeeded => next.published = true,
            Change::Published => return Err(Refused::WrongState(self.state)),
            Change::Dispatch { attempt } => {
                if self.state == State::Running && self.attempt == *attempt {
                    return Ok(Applied::Already);
                }
                self.must_be(State::Queued)?;
                if *attempt != self.attempt + 1 {
                    return Err(Refused::Superseded);
                }
                next.dispatch(now);
            }
            Change::Claim { attempt } => {
                self.must_be(State::Running)?;
                if self.attempt != *attempt {
                    return Err(Refused::Superseded);
                }
                next.claim += 1;
                next.claimed_attempt = self.attempt;
                next.alive_at = Some(now);
                next.progress = Some(0);
            }
            Change::Progress { claim, percent } => {
                self.must_hold(*claim)?;
                next.alive_at = Some(now);
                next.progress = percent.map(|p| p.min(100)).or(self.progress);
            }
            Change::Succeed { claim, mp3 } => {
                if self.mp3.as_ref() == Some(mp3) {
                    return Ok(Applied::Already);
                }
                self.must_hold(*claim)?;
                next.mp3 = Some(mp3.clone());
                next.finish(State::Succeeded, now);
                next.progress = Some(100);
            }
            Change::Fail { claim, failure } => {
                if self.claim == *claim && self.failure.as_ref() == Some(failure) {
                    return Ok(Applied::Already);
                }
                self.must_hold(*claim)?;
                next.fail(failure.clone(), now);
            }
            Change::Release { attempt, cause } => {
                self.must_be(State::Running)?;
                if self.attempt != *attempt {
                    return Err(Refused::Superseded);
                }
                next.release(cause, now);
            }
            Change::Cancel if self.state == State::Cancelled => return Ok(Applied::Already),
            Change::Cancel if self.state.is_terminal() => {
                return Err(Refused::Terminal(self.state));
            }
            Change::Cancel => next.finish(State::Cancelled, now),
        }
        Ok(Applied::Changed(Box::new(next)))
    }

    const fn must_be(&self, state: State) -> Result<(), Refused> {
        if self.state.is_terminal() {
            return Err(Refused::Terminal(self.state));
        }
        match (self.state, state) {
            (State::Queued, State::Queued) | (State::Running, State::Running) => Ok(()),
            _ => Err(Refused::WrongState(self.state)),
        }
    }

    /// Only the newest claim of a running attempt may write.
    fn must_hold(&self, claim: u32) -> Result<(), Refused> {
        if self.state.is_terminal() {
            return Err(Refused::Terminal(self.state));
        }
        if self.state == State::Running && self.claim == claim && self.is_claimed() {
            Ok(())
        } else {
            Err(Refused::Superseded)
        }
    }

    fn dispatch(&mut self, now: Timestamp) {
        self.state = State::Running;
        self.attempt += 1;
        self.dispatched_at = Some(now);
        self.alive_at = None;
        self.progress = None;
        self.waiting = None;
    }

    fn finish(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.waiting = None;
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        self.failure = Some(failure);
        self.finish(State::Failed, now);
    }

    fn release(&mut self, cause: &Cause, now: Timestamp) {
        self.state = State::Queued;
        self.progress = None;
        self.not_before = now;
        match cause {
            Cause::Disruption => {}
            Cause::NeverStarted(why) => {
                self.waiting = Some(why.clone());
                self.not_before = now + NEVER_STARTED_WAIT;
            }
            Cause::OutOfMemory if self.out_of_memory => {
                let detail = "killed for memory in two attempts".to_owned();
                self.fail(Failure { reason: Reason::OutOfMemory, detail }, now);
            }
            Cause::OutOfMemory => self.out_of_memory = true,
            Cause::Trouble(detail) => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.fail(
                        Failure { reason: Reason::AttemptsExhausted, detail: detail.clone() },
                        now,
                    );
                } else {
                    self.not_before = now + BACK_OFF * 4_i32.pow(self.failures - 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        };
        let new = NewConversion {
            video: &video,
            role: Role::User,
            options: Options::default(),
            idempotency: None,
        };
        Conversion::new(ConversionId::generate(), new, Timestamp::UNIX_EPOCH)
    }

    fn mp3(conversion: &Conversion, claim: u32) -> Mp3 {
        Mp3 {
            id: conversion.id.mp3(claim),
            length: 1,
            sha256: Sha256::from([1; 32]),
            duration_ms: 1,
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
                    Change::Release { attempt, cause: Cause::Disruption },
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
    }

    #[test]
    fn memory_is_tried_once_more() {
        let first = after(
            &queued(),
            &[
                Change::Dispatch { attempt: 1 },
                Change::Release { attempt: 1, cause: Cause::OutOfMemory },
            ],
        );
        assert_eq!((first.state, first.out_of_memory), (State::Queued, true));
        let second = after(
            &first,
            &[
                Change::Dispatch { attempt: 2 },
                Change::Release { attempt: 2, cause: Cause::OutOfMemory },
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
                Change::Release { attempt: 1, cause: Cause::Disruption },
                Change::Dispatch { attempt: 2 },
            ],
        );
        let late = Change::Succeed { claim: 1, mp3: mp3(&back, 1) };
        assert_eq!(back.apply(&late, Timestamp::UNIX_EPOCH), Err(Refused::Superseded));
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let cause = prop_oneof![
            Just(Cause::Trouble(String::new())),
            Just(Cause::Disruption),
            Just(Cause::OutOfMemory),
            Just(Cause::NeverStarted(String::new())),
        ];
        let failure = Failure { reason: Reason::NotMedia, detail: String::new() };
        let mp3 = Mp3 {
            id: Mp3Id::from(uuid::Uuid::nil()),
            length: 0,
            sha256: Sha256::from([0; 32]),
            duration_ms: 0,
        };
        prop_oneof![
            Just(Change::Announced),
            Just(Change::Published),
            Just(Change::Cancel),
            (0..4_u32).prop_map(|attempt| Change::Dispatch { attempt }),
            (0..4_u32).prop_map(|attempt| Change::Claim { attempt }),
            (0..4_u32).prop_map(|claim| Change::Progress { claim, percent: Some(200) }),
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
}
