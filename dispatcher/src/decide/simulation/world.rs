//! The simulated world: records, Jobs and the processes in them, and a clock.

use super::{Choices, Decider, Step};
use crate::{
    decide::{Action, Known, Limits, PATIENCE, Turns, decide},
    launcher::{Job, Phase, job_name},
    samples,
};
use domain::{
    Applied, Cause, Change, Conversion, ConversionId, Lane, Mp3, Refused, Sha256, State, UserName,
    VideoId,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

const CAP: usize = 3;
const CAP_OF_USER: usize = 2;
const OWNERS: [&str; 3] = ["ada", "bob", "eve"];
/// Every third conversion is part of it.
const BATCH: &str = "louder";
const MOST_RECORDS: usize = 8;

/// One process of an attempt. It may outlive its Job, and an attempt may have two.
#[derive(Clone)]
struct Pod {
    job: String,
    conversion: ConversionId,
    attempt: u32,
    claim: Option<u32>,
    work_left: usize,
    frozen: bool,
}

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

/// See [`super`].
pub(super) struct World {
    /// The first thing that was wrong.
    pub(super) fault: Option<String>,
    rules: Rules,
    now: Timestamp,
    absent_is_dead: bool,
    uploads: u128,
    records: BTreeMap<ConversionId, Conversion>,
    jobs: BTreeMap<String, Job>,
    pods: Vec<Pod>,
    /// MP3 files that exist, by the claim that wrote them.
    files: Vec<(ConversionId, u32)>,
    events: BTreeMap<ConversionId, u32>,
    /// How those ended that have.
    finals: BTreeMap<ConversionId, (State, Option<Mp3>)>,
    /// A view that a second dispatcher took earlier.
    old_view: Option<Known>,
    /// What a watch that stands still goes on showing.
    old_jobs: Option<Vec<Job>>,
    slots_are_exact: bool,
    answering_since: Timestamp,
    paused: bool,
    batch_is_paused: bool,
    turns: Turns,
}

impl World {
    pub(super) fn new(rules: Rules, absent_is_dead: bool) -> Self {
        Self {
            fault: None,
            rules,
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(10_000),
            absent_is_dead,
            uploads: 0,
            records: BTreeMap::new(),
            jobs: BTreeMap::new(),
            pods: Vec::new(),
            files: Vec::new(),
            events: BTreeMap::new(),
            finals: BTreeMap::new(),
            old_view: None,
            old_jobs: None,
            slots_are_exact: true,
            answering_since: Timestamp::MIN,
            paused: false,
            batch_is_paused: false,
            turns: Turns::default(),
        }
    }

    fn must(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds && self.fault.is_none() {
            self.fault = Some(text());
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
        if self.has(Flaw::RevivesTheDead) && matches!(change, Change::Release { .. }) {
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
        let due = self.due();
        let is_running = |id| running.iter().any(|record: &Conversion| record.id == id);
        let alive = jobs.iter().filter(|job| job.phase.is_alive() && !is_running(job.conversion));
        Known {
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
            due,
            turns: self.turns.clone(),
            others: alive.filter_map(|job| self.records.get(&job.conversion).cloned()).collect(),
            jobs,
            running,
            unannounced: pick(&|record| !record.announced && !record.state.is_terminal()),
            unpublished: pick(&|record| !record.published && record.state == State::Succeeded),
        }
    }

    /// Of each owner only one, as the store gives them where there are more owners than slots.
    fn due(&self) -> Vec<Conversion> {
        let is_due = |it: &&Conversion| it.state == State::Queued && it.not_before <= self.now;
        let mut due: Vec<_> = self.records.values().filter(is_due).cloned().collect();
        due.sort_by_key(|it| (it.lane(), it.owner.clone(), it.created_at, it.id));
        due.dedup_by_key(|it| (it.lane(), it.owner.clone()));
        due
    }

    /// What is paused gets no job, nothing of a batch goes before an upload, and no user before another.
    fn must_be_in_turn(&mut self, known: &Known) {
        let actions = (self.rules.decider)(known).actions;
        let chosen = actions.iter().filter_map(|action| match action {
            Action::Dispatch(id, _) => self.records.get(id),
            _ => None,
        });
        let chosen: Vec<_> = chosen.cloned().collect();
        let running: Vec<_> =
            self.records.values().filter(|it| it.state == State::Running).cloned().collect();
        let fault = out_of_turn(known, &chosen, &running);
        self.must(fault.is_none(), || format!("{}: {chosen:#?}", fault.unwrap_or_default()));
    }

    /// A pass; where there are faults, a crash may cut it short before any action, and any action may
    /// be done and reported failed, or not be done.
    fn pass(&mut self, known: &Known, mut faults: Option<&mut Choices>) {
        self.slots_are_exact &= self.old_jobs.is_none();
        for action in (self.rules.decider)(known).actions {
            if let Action::Dispatch(id, _) = &action
                && let Some(record) = self.records.get(id)
            {
                self.turns.take(record.lane(), &record.owner);
            }
            match faults.as_mut().map_or(9, |choices| choices.below(12)) {
                0 => return self.step(&Step::Crash),
                // This dispatcher goes no further with this record.
                1 => self.carry_out(&action, false),
                // A slot counts as free once its job has ended: where the record could not be told
                // and is launched again, there is one job more for its while.
                2 => self.slots_are_exact &= !matches!(action, Action::Change(..)),
                _ => self.carry_out(&action, true),
            }
        }
    }

    fn carry_out(&mut self, action: &Action, goes_on: bool) {
        match action {
            Action::Change(id, change) => drop(self.change(*id, change)),
            Action::Dispatch(id, attempt) => {
                let dispatched = self.change(*id, &Change::Dispatch { attempt: *attempt });
                if let (Ok(record), true) = (dispatched, goes_on) {
                    self.launch(&record);
                }
            }
            Action::Launch(id) => {
                if let Some(record) = self.records.get(id).cloned() {
                    self.launch(&record);
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
    }

    fn launch(&mut self, record: &Conversion) {
        let name = job_name(record.id, record.attempt);
        if self.jobs.contains_key(&name) {
            return;
        }
        let (conversion, attempt) = (record.id, record.attempt);
        let phase = Phase::Waiting(None);
        let job = Job { name: name.clone(), conversion, attempt, created_at: self.now, phase };
        self.jobs.insert(name.clone(), job);
        // What an attempt has ahead follows from its number; some are started twice from one spec.
        let fate = self.uploads as usize + attempt as usize;
        for _ in 0..1 + usize::from(fate.is_multiple_of(4)) {
            let (job, work_left) = (name.clone(), fate % 3);
            self.pods.push(Pod { job, conversion, attempt, claim: None, work_left, frozen: false });
        }
    }

    /// The Job goes at once, its pods when they notice; children die with their entry.
    fn delete(&mut self, name: &str, with_pods: bool) {
        self.jobs.remove(name);
        if self.absent_is_dead || with_pods {
            self.pods.retain(|pod| pod.job != name);
        }
    }

    fn end(&mut self, at: usize, phase: Phase) {
        let pod = self.pods.swap_remove(at);
        if let Some(job) = self.jobs.get_mut(&pod.job).filter(|job| job.phase.is_alive()) {
            job.phase = phase;
        }
    }

    fn step_pod(&mut self, choices: &mut Choices, faults: bool) {
        if self.pods.is_empty() {
            return;
        }
        let at = choices.below(self.pods.len());
        if faults && choices.one_in(8) {
            let cause = match choices.below(3) {
                0 => Cause::Trouble("killed".to_owned()),
                1 => Cause::OutOfMemory("killed for memory".to_owned()),
                _ => Cause::Disruption("drained".to_owned()),
            };
            return self.end(at, Phase::Failed(cause));
        }
        if faults && choices.one_in(6) {
            self.pods[at].frozen ^= true;
        }
        let pod = self.pods[at].clone();
        if pod.frozen {
            return;
        }
        let Some(claim) = pod.claim else {
            return self.claim(at, &pod);
        };
        if pod.work_left == 0 {
            return self.commit(at, &pod, claim, faults.then_some(choices));
        }
        self.pods[at].work_left -= 1;
        let progress = Change::Progress { claim, percent: Some(50), pace: None };
        if self.change(pod.conversion, &progress).is_err() {
            self.end(at, Phase::Complete);
        }
    }

    fn claim(&mut self, at: usize, pod: &Pod) {
        if let Some(job) = self.jobs.get_mut(&pod.job).filter(|job| job.phase.is_alive()) {
            job.phase = Phase::Running;
        }
        match self.change(pod.conversion, &Change::Claim { attempt: pod.attempt }) {
            Ok(record) => self.pods[at].claim = Some(record.claim),
            Err(_) => self.end(at, Phase::Complete),
        }
    }

    fn commit(&mut self, at: usize, pod: &Pod, claim: u32, faults: Option<&mut Choices>) {
        let fate = faults.map_or(9, |choices| choices.below(10));
        if !self.has(Flaw::CommitsBeforeStoring) {
            self.files.push((pod.conversion, claim));
        } else if fate < 2 {
            let _ = self.succeed(pod, claim);
        }
        if fate < 2 {
            // Killed between storing the MP3 and committing it.
            return self.end(at, Phase::Failed(Cause::Trouble("killed".to_owned())));
        }
        match self.succeed(pod, claim) {
            Ok(record) => self.must(record.claim == claim, || {
                format!(
                    "claim {claim} of {} has committed, the newest is {}",
                    record.id, record.claim
                )
            }),
            Err(_) => self.files.retain(|file| *file != (pod.conversion, claim)),
        }
        match fate {
            // Committed, and hangs before it ends.
            2 => self.pods[at].frozen = true,
            3 => self.end(at, Phase::Failed(Cause::Disruption("drained".to_owned()))),
            _ => self.end(at, Phase::Complete),
        }
    }

    /// Makes the MP3 of this claim the result.
    fn succeed(&mut self, pod: &Pod, claim: u32) -> Result<Conversion, Refused> {
        let id = pod.conversion.mp3(claim);
        let mp3 =
            Mp3 { id, length: 1, sha256: Sha256::from([1; 32]), duration_ms: 1, loudness: None };
        let newest = self.records.get(&pod.conversion).map_or(claim, |record| record.claim);
        let claim = if self.has(Flaw::CommitsWithoutClaim) { newest } else { claim };
        self.change(pod.conversion, &Change::Succeed { claim, mp3 })
    }

    pub(super) fn check_always(&mut self) {
        let ended: Vec<_> = self.records.values().filter(|it| it.state.is_terminal()).collect();
        for (id, end) in ended.iter().map(|it| (it.id, (it.state, it.mp3.clone()))) {
            self.finals.entry(id).or_insert(end);
        }
        let now = |id| self.records.get(id).map(|it: &Conversion| (it.state, it.mp3.clone()));
        let changed =
            self.finals.iter().find(|(id, then)| now(id).is_some_and(|now| now != **then));
        let changed = changed.map(|(id, then)| format!("{id} was {then:?} for good"));
        self.must(changed.is_none(), || changed.unwrap_or_default());
        let alive = self.jobs.values().filter(|job| job.phase.is_alive()).count();
        self.must(alive <= CAP || !self.slots_are_exact, || format!("{alive} jobs alive"));
        let has_file = |record: &Conversion| self.files.iter().any(|file| file.0 == record.id);
        let mut succeeded = self.records.values().filter(|it| it.state == State::Succeeded);
        let without = succeeded.find(|record| !has_file(record)).map(|record| record.id);
        self.must(without.is_none(), || format!("a result without a file: {without:?}"));
    }

    /// No more faults: everything must end, and nothing may be left.
    pub(super) fn come_to_an_end(&mut self, chance: u64) {
        let choices = &mut Choices(chance);
        self.old_jobs = None;
        (self.paused, self.batch_is_paused) = (false, false);
        self.settle(choices);
        self.clear_up();
        for record in self.records.values().cloned().collect::<Vec<_>>() {
            let events = self.events.get(&record.id).copied().unwrap_or_default();
            let right = (record.state == State::Succeeded) == (events > 0);
            self.must(right, || format!("{events} events for {} {:?}", record.id, record.state));
        }
    }

    fn settle(&mut self, choices: &mut Choices) {
        // Some that are frozen stay so for ever.
        for pod in &mut self.pods {
            pod.frozen &= choices.one_in(2);
        }
        for _ in 0..2_000 {
            let known = self.view();
            let wake_at = (self.rules.decider)(&known).wake_at;
            self.pass(&known, None);
            if self.absent_is_dead {
                self.jobs.retain(|_, job| job.phase.is_alive());
            }
            for _ in 0..4 {
                self.step_pod(choices, false);
            }
            self.check_always();
            if self.records.values().all(|record| {
                record.state.is_terminal() && (record.published || record.mp3.is_none())
            }) {
                return;
            }
            // Nothing else moves the clock: a deadline that nobody set would never come.
            let queued = self.records.values().filter(|record| record.state == State::Queued);
            let due = queued.map(|record| record.not_before).filter(|at| *at > self.now);
            let next = wake_at.into_iter().chain(due).min();
            if let Some(at) = next.filter(|_| self.pods.is_empty() || choices.one_in(10)) {
                self.now = self.now.max(at);
            }
        }
        let left: Vec<_> = self.records.values().filter(|it| !it.state.is_terminal()).collect();
        let text = format!("not everything ended: {left:#?}\n{:#?}", self.jobs);
        self.must(false, || text);
    }

    /// Pods that never end by themselves: their jobs must be deleted.
    fn clear_up(&mut self) {
        self.pods.iter_mut().for_each(|pod| pod.frozen = true);
        for _ in 0..3 {
            let known = self.view();
            self.now = (self.rules.decider)(&known).wake_at.unwrap_or(self.now).max(self.now);
            self.pass(&self.view(), None);
        }
        let alive: Vec<_> = self.jobs.values().filter(|job| job.phase.is_alive()).collect();
        let text = format!("jobs that nobody needs: {alive:#?}");
        self.must(alive.is_empty(), || text);
    }
}

/// What is wrong with a choice, if anything.
fn out_of_turn(
    known: &Known,
    chosen: &[Conversion],
    running: &[Conversion],
) -> Option<&'static str> {
    let lane_of = |records: &[Conversion], lane| -> Vec<Conversion> {
        records.iter().filter(|it| it.lane() == lane).cloned().collect()
    };
    let of = |records: &[Conversion], owner: &UserName| {
        records.iter().filter(|it| it.owner == *owner).count()
    };
    let full = |owner: &UserName| of(chosen, owner) + of(running, owner) >= CAP_OF_USER;
    let stands = |it: &Conversion| it.batch.is_some() && !known.paused_batches.is_empty();
    let left: Vec<_> = known
        .due
        .iter()
        .filter(|it| !stands(it) && !full(&it.owner) && !chosen.contains(it))
        .cloned()
        .collect();
    if known.paused && !chosen.is_empty() {
        return Some("something is chosen while paused");
    }
    if chosen.iter().any(stands) {
        return Some("a paused batch goes on");
    }
    if chosen.iter().any(|it| of(chosen, &it.owner) + of(running, &it.owner) > CAP_OF_USER) {
        return Some("one user has too many");
    }
    let (bulk, uploads_left) = (lane_of(chosen, Lane::Bulk), lane_of(&left, Lane::Interactive));
    let is_late = |it: &Conversion| it.not_before + PATIENCE <= known.now && !stands(it);
    let late = lane_of(&known.due, Lane::Bulk).iter().any(is_late);
    let first_of_batches = bulk.len() == 1 && lane_of(running, Lane::Bulk).is_empty() && late;
    if !bulk.is_empty() && !uploads_left.is_empty() && !first_of_batches {
        return Some("a batch goes before an upload");
    }
    for lane in Lane::ALL {
        let (chosen, running) = (lane_of(chosen, lane), lane_of(running, lane));
        let has = |owner: &UserName| of(&chosen, owner) + of(&running, owner);
        let unfair = |mine: &Conversion| {
            let theirs = left.iter().filter(|it| it.lane() == lane && it.owner != mine.owner);
            theirs.clone().any(|it| has(&it.owner) + 1 < has(&mine.owner))
        };
        if chosen.iter().any(unfair) {
            return Some("one user goes before another who has less");
        }
    }
    None
}
