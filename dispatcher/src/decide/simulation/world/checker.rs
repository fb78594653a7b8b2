//! Judges histories: what must hold at every moment, and what must be there in the end. It knows nothing of
//! how decisions are made.

use super::{super::Choices, CAP, CAP_OF_USER, World};
use crate::{
    decide::{Action, Known, PATIENCE},
    samples,
};
use domain::{Conversion, Lane, State, UserName};

impl World {
    pub(super) fn must(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds && self.fault.is_none() {
            self.fault = Some(text());
        }
    }

    /// What is paused gets no job, nothing of a batch goes before an upload, and no user before another.
    pub(super) fn must_be_in_turn(&mut self, known: &Known) {
        let actions = (self.rules.decider)(known).actions;
        let chosen = actions.iter().filter_map(|action| match action {
            Action::Dispatch(id, _) => self.records.get(id),
            _ => None,
        });
        let chosen: Vec<_> = chosen.cloned().collect();
        let running: Vec<_> =
            self.records.values().filter(|it| it.state == State::Running).cloned().collect();
        let due = samples::due(self.records.values(), known, usize::MAX);
        let fault = out_of_turn(known, &due, &chosen, &running);
        self.must(fault.is_none(), || format!("{}: {chosen:#?}", fault.unwrap_or_default()));
    }

    pub(in super::super) fn check_always(&mut self) {
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
    pub(in super::super) fn come_to_an_end(&mut self, chance: u64) {
        let choices = &mut Choices(chance);
        self.old_jobs = None;
        (self.paused, self.batch_is_paused, self.quota) = (false, false, None);
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
        // A clock that was a day ahead is caught up with in steps of seconds.
        for _ in 0..20_000 {
            let known = self.view();
            let wake_at = (self.rules.decider)(&known).wake_at;
            self.pass(&known, None);
            if self.absent_is_dead {
                self.jobs.retain(|_, job| job.phase.is_alive());
            }
            for name in self.jobs.keys().cloned().collect::<Vec<_>>() {
                self.admit(&name);
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
    due: &[Conversion],
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
    let left: Vec<_> = due
        .iter()
        .filter(|it| !stands(it) && !full(&it.owner) && !chosen.contains(it))
        .cloned()
        .collect();
    if known.paused && !chosen.is_empty() {
        return Some("something is chosen while paused");
    }
    if !known.paused && known.free_slots() > 0 && chosen.is_empty() && !left.is_empty() {
        return Some("a slot stays free");
    }
    if chosen.iter().any(stands) {
        return Some("a paused batch goes on");
    }
    if chosen.iter().any(|it| of(chosen, &it.owner) + of(running, &it.owner) > CAP_OF_USER) {
        return Some("one user has too many");
    }
    let is_new = |it: &&Conversion| !it.was_interrupted();
    if !left.iter().all(|it| is_new(&it)) && chosen.iter().any(|it| is_new(&it)) {
        return Some("one that was interrupted waits for another");
    }
    let new: Vec<_> = chosen.iter().filter(is_new).cloned().collect();
    let (bulk, uploads_left) = (lane_of(&new, Lane::Bulk), lane_of(&left, Lane::Interactive));
    let is_late = |it: &Conversion| it.not_before + PATIENCE <= known.now && !stands(it);
    let late = lane_of(due, Lane::Bulk).iter().any(is_late);
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
        if chosen.iter().filter(is_new).any(unfair) {
            return Some("one user goes before another who has less");
        }
    }
    None
}
