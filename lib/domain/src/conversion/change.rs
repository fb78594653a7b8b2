//! The changes that a conversion can go through: the whole state machine.

use super::{Conversion, Failure, Mp3, Pace, Setback, State};
use crate::{Cause, Reason};
use jiff::{SignedDuration, Timestamp};

/// Attempts that may end in trouble before the conversion fails.
const MAX_FAILURES: u32 = 3;
/// Attempts taken back that a record remembers.
const MOST_SETBACKS: usize = 5;
/// Wait after the second troubled attempt. After the first there is none: the slot is still its own.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(4);
/// Wait before a job that never started is tried again.
const NEVER_STARTED_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// Why an attempt that is held back waits.
const HELD: &str = "held back until the cluster has room";

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
    /// The cluster holds this attempt back until it has room.
    Held {
        /// Which.
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
        /// How fast it goes, where known.
        pace: Option<Pace>,
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
    /// The dispatcher takes the attempt back because it has shown no life for long.
    ReleaseSilent {
        /// Which.
        attempt: u32,
        /// Its last sign of life, as the dispatcher saw it: a newer one stops this.
        seen: Option<Timestamp>,
        /// Why.
        cause: Cause,
    },
    /// The cluster had no room for this attempt's Job: the conversion keeps its turn.
    NoRoom {
        /// Which.
        attempt: u32,
        /// In the cluster's words.
        why: String,
    },
    /// The owner calls it off.
    Cancel,
    /// The `mp3` event is out.
    Published,
    /// The MP3's time is over, and its bytes are deleted.
    Expire,
    /// A newer MP3 takes the place of its own, whose time is over.
    Replace,
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
    /// The record has been deleted.
    #[error("the conversion has been deleted")]
    Gone,
    /// The change makes no sense in this state.
    #[error("the conversion is {}", .0.as_str())]
    WrongState(State),
}

impl Conversion {
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
            Change::Expire if self.mp3_expired => return Ok(Applied::Already),
            Change::Expire if self.has_expired(now) => next.mp3_expired = true,
            Change::Expire => return Err(Refused::WrongState(self.state)),
            Change::Replace if self.has_expired(now) => return Ok(Applied::Already),
            Change::Replace if self.mp3.is_some() => next.mp3_expires_at = Some(now),
            Change::Replace => return Err(Refused::WrongState(self.state)),
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
            Change::Held { attempt } => {
                self.must_be_at(*attempt)?;
                if self.is_claimed() {
                    return Err(Refused::Superseded);
                }
                next.waiting = Some(HELD.to_owned());
            }
            Change::Claim { attempt } => {
                self.must_be_at(*attempt)?;
                if next.waiting.take().is_some() {
                    // What held it back was no work.
                    next.dispatched_at = Some(now);
                }
                next.claim += 1;
                next.claimed_attempt = self.attempt;
                next.alive_at = Some(now);
                next.progress = Some(0);
            }
            Change::Progress { claim, percent, pace } => {
                self.must_hold(*claim)?;
                next.alive_at = Some(now);
                next.pace = pace.or(self.pace);
                next.progress = percent.map(|p| p.min(100)).or(self.progress);
            }
            Change::Succeed { claim, mp3 } => {
                if self.mp3.as_ref() == Some(mp3) {
                    return Ok(Applied::Already);
                }
                self.must_hold(*claim)?;
                next.mp3 = Some(mp3.clone());
                next.finish(State::Succeeded, now);
                next.mp3_expires_at = self.mp3_kept_for.and_then(|it| now.checked_add(it).ok());
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
                self.must_be_at(*attempt)?;
                next.release(cause, now);
            }
            Change::ReleaseSilent { attempt, seen, cause } => {
                self.must_be_at(*attempt)?;
                if self.alive_at != *seen {
                    return Err(Refused::Superseded);
                }
                next.release(cause, now);
            }
            Change::NoRoom { attempt, why } => {
                self.must_be_at(*attempt)?;
                if self.is_claimed() {
                    return Err(Refused::Superseded);
                }
                next.state = State::Queued;
                next.waiting = Some(why.clone());
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

    fn must_be_at(&self, attempt: u32) -> Result<(), Refused> {
        self.must_be(State::Running)?;
        if self.attempt == attempt { Ok(()) } else { Err(Refused::Superseded) }
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
        self.pace = None;
        self.waiting = None;
    }

    fn finish(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.waiting = None;
        self.pace = None;
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        self.failure = Some(failure);
        self.finish(State::Failed, now);
    }

    fn release(&mut self, cause: &Cause, now: Timestamp) {
        self.state = State::Queued;
        self.progress = None;
        self.pace = None;
        self.not_before = now;
        self.setbacks.push(Setback { attempt: self.attempt, at: now, cause: cause.clone() });
        let many = self.setbacks.len().saturating_sub(MOST_SETBACKS);
        self.setbacks.drain(..many);
        match cause {
            Cause::Disruption(_) => {}
            Cause::NeverStarted(why) => {
                self.waiting = Some(why.clone());
                self.not_before = now + NEVER_STARTED_WAIT;
            }
            Cause::OutOfMemory(detail) if self.out_of_memory => {
                let detail = format!("killed for memory in two attempts: {detail}");
                self.fail(Failure { reason: Reason::OutOfMemory, detail }, now);
            }
            Cause::OutOfMemory(_) => self.out_of_memory = true,
            Cause::Trouble(detail) => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.fail(
                        Failure { reason: Reason::AttemptsExhausted, detail: detail.clone() },
                        now,
                    );
                } else {
                    self.not_before = now + BACK_OFF * i32::from(self.failures > 1);
                }
            }
        }
    }
}
