//! The simulated world: records, Jobs and the processes in them, and a clock.

use super::{Choices, Decider, Runner, Step};
use crate::{
    decide::{Action, Full, Known, Limits, Turns, decide},
    launcher::Job,
    samples,
};
use domain::{Applied, Change, Conversion, ConversionId, Mp3, Refused, State, VideoId};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

const CAP: usize = 3;
const CAP_OF_USER: usize = 2;
const OWNERS: [&str; 3] = ["ada", "bob", "eve"];
/// Every third conversion is part of it.
const BATCH: &str = "louder";
const MOST_RECORDS: usize = 8;

/// One of several; the number always hits one, however many there are.
fn nth_of<'a, T: Clone + 'a>(all: impl ExactSizeIterator<Item = &'a T>, nth: usize) -> Option<T> {
    let count = all.len().max(1);
    all.into_iter().nth(nth % count).cloned()
}

/// How the world works: the decider, and what is wrong with the rest.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) decider: Decider,
    pub(super) flaw: Option<Flaw>,
}

impl Rules {
    pub(super) const RIGHT: Self = Self { decider: decide, flaw: None };
}

/// A mistake in what carries decisions out, or in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Whoever has an MP3 makes it the result.
    CommitsWithoutClaim,
    /// The record says that the event is out before it is.
    MarksBeforeSending,
    /// The record names the MP3 before it is stored.
    CommitsBeforeStoring,
    /// What was called off is taken up again.
    RevivesTheDead,
}

mod checker;
mod pods;

/// What a store held at one time, and the events that were out by then.
#[derive(Clone)]
struct Backup {
    records: BTreeMap<ConversionId, Conversion>,
    files: Vec<(ConversionId, u32)>,
    events: BTreeMap<ConversionId, u32>,
}

/// See [`super`].
pub(super) struct World {
    /// The first thing that was wrong.
    pub(super) fault: Option<String>,
    rules: Rules,
    now: Timestamp,
    absent_is_dead: bool,
    has_kueue: bool,
    uploads: u128,
    records: BTreeMap<ConversionId, Conversion>,
    jobs: BTreeMap<String, Job>,
    pods: Vec<pods::Pod>,
    /// MP3 files that exist, by the claim that wrote them.
    files: Vec<(ConversionId, u32)>,
    events: BTreeMap<ConversionId, u32>,
    /// How those ended that have.
    finals: BTreeMap<ConversionId, (State, Option<Mp3>)>,
    backup: Option<Backup>,
    /// A view that a second dispatcher took earlier.
    old_view: Option<Known>,
    /// What a watch that stands still goes on showing.
    old_jobs: Option<Vec<Job>>,
    slots_are_exact: bool,
    answering_since: Timestamp,
    paused: bool,
    batch_is_paused: bool,
    turns: Turns,
    /// Jobs that may be alive, where others have a say in it.
    quota: Option<usize>,
    full: Option<Full>,
}

impl World {
    pub(super) fn new(rules: Rules, runner: Runner) -> Self {
        Self {
            fault: None,
            rules,
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(10_000),
            absent_is_dead: runner == Runner::Children,
            has_kueue: runner == Runner::Kueue,
            uploads: 0,
            records: BTreeMap::new(),
            jobs: BTreeMap::new(),
            pods: Vec::new(),
            files: Vec::new(),
            events: BTreeMap::new(),
            finals: BTreeMap::new(),
            backup: None,
            old_view: None,
            old_jobs: None,
            slots_are_exact: true,
            answering_since: Timestamp::MIN,
            paused: false,
            batch_is_paused: false,
            turns: Turns::default(),
            quota: None,
            full: None,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Upload => self.upload(),
            Step::Pass { chance } => {
                let known = self.view();
                self.must_be_in_turn(&known);
                self.pass(&known, Some(&mut Choices(*chance)));
            }
            Step::Outage { millis } => {
                self.now += SignedDuration::from_millis(*millis);
                self.answering_since = self.now;
            }
            Step::Backup => {
                let (records, files) = (self.records.clone(), self.files.clone());
                self.backup = Some(Backup { records, files, events: self.events.clone() });
            }
            Step::Restore => self.restore(),
            Step::Switch => self.paused ^= true,
            Step::Hold => self.batch_is_paused ^= true,
            Step::Pod { chance } => self.step_pod(&mut Choices(*chance), true),
            Step::Wait { millis } => self.now += SignedDuration::from_millis(*millis),
            Step::Jump { minutes } => self.now += SignedDuration::from_mins(*minutes),
            Step::Cancel { nth } => {
                if let Some(id) = nth_of(self.records.keys(), *nth) {
                    let _ = self.change(id, &Change::Cancel);
                }
            }
            Step::Vanish { nth } => {
                if let Some(id) = nth_of(self.records.keys(), *nth) {
                    self.records.remove(&id);
                }
            }
            Step::Crash if self.absent_is_dead => {
                self.jobs.clear();
                self.pods.clear();
            }
            // Children can only be killed by their dispatcher, and are seen without a watch.
            _ if self.absent_is_dead => {}
            Step::Crash => {}
            Step::Stranger { nth } => {
                if let Some(name) = nth_of(self.jobs.keys(), *nth) {
                    self.delete(&name, nth % 2 == 0);
                }
            }
            Step::Suspend { nth } if self.has_kueue => {
                if let Some(name) = nth_of(self.jobs.keys(), *nth) {
                    self.suspend(&name, nth % 2 == 0);
                }
            }
            Step::Admit { nth } => {
                if let Some(name) = nth_of(self.jobs.keys(), *nth) {
                    self.admit(&name);
                }
            }
            Step::Suspend { .. } => {}
            Step::Quota { jobs } => self.quota = Some(*jobs),
            Step::Gap => self.old_jobs = Some(self.jobs.values().cloned().collect()),
            Step::Relist => self.old_jobs = None,
            Step::Look => self.old_view = Some(self.view()),
            Step::Act { chance } => {
                if let Some(view) = self.old_view.take() {
                    self.slots_are_exact = false;
                    self.pass(&view, Some(&mut Choices(*chance)));
                }
            }
        }
    }

    fn restore(&mut self) {
        let Some(backup) = self.backup.clone() else { return };
        (self.records, self.files, self.events) = (backup.records, backup.files, backup.events);
        (self.old_view, self.old_jobs) = (None, None);
        self.jobs.clear();
        self.pods.clear();
        self.finals.clear();
    }

    fn upload(&mut self) {
        if self.records.len() >= MOST_RECORDS {
            return;
        }
        self.uploads += 1;
        let video = VideoId::from(uuid::Uuid::from_u128(self.uploads));
        let video = samples::video(video, self.now);
        let id = ConversionId::from(uuid::Uuid::from_u128(self.uploads << 64));
        let batch = (self.uploads % 3 == 2).then(|| BATCH.parse().unwrap());
        let owner = OWNERS[self.uploads.is_multiple_of(2) as usize * (self.uploads % 3) as usize];
        let owner = owner.parse().unwrap();
        let record = Conversion { batch, owner, ..samples::conversion(id, &video, self.now) };
        self.records.insert(id, record);
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.rules.flaw == Some(flaw)
    }

    fn change(&mut self, id: ConversionId, change: &Change) -> Result<Conversion, Refused> {
        let mut record = self.records.get(&id).ok_or(Refused::Gone)?.clone();
        let releases = matches!(change, Change::Release { .. } | Change::ReleaseSilent { .. });
        if self.has(Flaw::RevivesTheDead) && releases {
            record.state = State::Running;
        }
        match record.apply(change, self.now)? {
            Applied::Already => Ok(record),
            Applied::Changed(next) => {
                self.records.insert(id, (*next).clone());
                Ok(*next)
            }
        }
    }

    fn view(&self) -> Known {
        let jobs = self.old_jobs.clone().unwrap_or_else(|| self.jobs.values().cloned().collect());
        let pick = |wanted: &dyn Fn(&Conversion) -> bool| -> Vec<Conversion> {
            self.records.values().filter(|record| wanted(record)).cloned().collect()
        };
        let running = pick(&|record| record.state == State::Running);
        let is_running = |id| running.iter().any(|record: &Conversion| record.id == id);
        let alive = jobs.iter().filter(|job| job.phase.is_alive() && !is_running(job.conversion));
        let mut known = Known {
            now: self.now,
            answering_since: self.answering_since,
            limits: Limits {
                jobs: CAP,
                per_user: CAP_OF_USER,
                pending: SignedDuration::from_secs(60),
            },
            absent_is_dead: self.absent_is_dead,
            paused: self.paused,
            paused_batches: self
                .batch_is_paused
                .then(|| BATCH.parse().unwrap())
                .into_iter()
                .collect(),
            due: Vec::new(),
            turns: self.turns.clone(),
            full: self.full,
            others: alive.filter_map(|job| self.records.get(&job.conversion).cloned()).collect(),
            jobs,
            running,
            unannounced: pick(&|record| !record.announced && !record.state.is_terminal()),
            unpublished: pick(&|record| !record.published && record.state == State::Succeeded),
        };
        known.due = samples::due(self.records.values(), &known, known.owners_needed());
        known
    }

    /// A pass; where there are faults, a crash may cut it short before any action, and any action may
    /// be done and reported failed, or not be done.
    fn pass(&mut self, known: &Known, mut faults: Option<&mut Choices>) {
        self.slots_are_exact &= self.old_jobs.is_none();
        let (mut made, mut refused) = (0, false);
        for action in (self.rules.decider)(known).actions {
            let has_room = match faults.as_mut().map_or(9, |choices| choices.below(12)) {
                0 => return self.step(&Step::Crash),
                // This dispatcher goes no further with this record.
                1 => self.carry_out(&action, false),
                2 => continue,
                _ => self.carry_out(&action, true),
            };
            refused |= !has_room;
            if let Action::Dispatch(id, _) = &action
                && let Some(record) = self.records.get(id).filter(|_| has_room)
            {
                self.turns.take(record.lane(), &record.owner);
                made += 1;
            }
        }
        self.full = Full::after(known, made, refused);
    }

    /// Whether there was room for its job, if it needs one.
    fn carry_out(&mut self, action: &Action, goes_on: bool) -> bool {
        match action {
            Action::Change(id, change) => drop(self.change(*id, change)),
            Action::TakeBack(id, change, name) => {
                if self.change(*id, change).is_ok() && goes_on {
                    self.delete(name, true);
                }
            }
            Action::Dispatch(id, attempt) => {
                let dispatched = self.change(*id, &Change::Dispatch { attempt: *attempt });
                if let (Ok(record), true) = (dispatched, goes_on) {
                    return self.launch(&record);
                }
            }
            Action::Launch(id) => {
                if let Some(record) = self.records.get(id).cloned() {
                    return self.launch(&record);
                }
            }
            Action::Delete(name) => self.delete(name, goes_on),
            Action::Announce(id) => drop(self.change(*id, &Change::Announced)),
            Action::Publish(id) if self.has(Flaw::MarksBeforeSending) => {
                if self.change(*id, &Change::Published).is_ok() && goes_on {
                    *self.events.entry(*id).or_default() += 1;
                }
            }
            Action::Publish(id) => {
                if self.records.contains_key(id) {
                    *self.events.entry(*id).or_default() += 1;
                }
                if goes_on {
                    let _ = self.change(*id, &Change::Published);
                }
            }
        }
        true
    }
}
