//! Who is next, told as stories of users with more or less to do.

use super::*;
use crate::{
    decide::{Limits, simulation::Choices},
    samples,
};
use domain::{ConversionId, VideoId};
use jiff::Timestamp;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// One of `owner`'s that waits since `second`.
pub(super) fn waits(owner: &str, second: i64) -> Conversion {
    let video = samples::video(VideoId::generate(), at(second));
    let record = samples::conversion(ConversionId::generate(), &video, at(second));
    Conversion { owner: owner.parse().unwrap(), ..record }
}

fn in_batch(record: Conversion) -> Conversion {
    Conversion { batch: Some("louder".parse().unwrap()), ..record }
}

/// A cluster with so many slots, so many of which one user may have.
struct Cluster {
    jobs: usize,
    per_user: usize,
    turns: Turns,
    waiting: Vec<Conversion>,
    running: Vec<Conversion>,
}

impl Cluster {
    fn with(jobs: usize, waiting: Vec<Conversion>) -> Self {
        Self { jobs, per_user: jobs, turns: Turns::default(), waiting, running: Vec::new() }
    }

    /// Fills the free slots; whose they are, in their order.
    fn fill(&mut self, now: i64) -> Vec<String> {
        let known = Known {
            now: at(now),
            limits: Limits {
                jobs: self.jobs,
                per_user: self.per_user,
                pending: SignedDuration::from_secs(60),
            },
            due: self.waiting.clone(),
            turns: self.turns.clone(),
            running: self.running.clone(),
            ..Known::nothing()
        };
        let mut plan = Plan::default();
        choose(&known, &mut plan);
        let chosen = plan.actions.iter().map(|action| match action {
            Action::Dispatch(id, 1) => self.start(*id),
            other => panic!("{other:?}"),
        });
        chosen.collect::<Vec<_>>()
    }

    fn start(&mut self, id: ConversionId) -> String {
        let at = self.waiting.iter().position(|record| record.id == id).unwrap();
        let record = self.waiting.remove(at);
        self.turns.take(record.lane(), &record.owner);
        let owner = record.owner.to_string();
        self.running.push(Conversion { state: State::Running, attempt: 1, ..record });
        owner
    }

    /// One of `owner`'s ends.
    fn end(&mut self, owner: &str) {
        let at = self.running.iter().position(|it| it.owner.as_str() == owner).unwrap();
        self.running.remove(at);
    }
}

#[test]
fn a_single_video_is_next_however_many_another_has() {
    for jobs in [1, 2, 5] {
        let many = (0..1000).map(|second| waits("ada", second)).collect();
        let mut cluster = Cluster::with(jobs, many);
        assert_eq!(cluster.fill(2000), vec!["ada"; jobs]);
        cluster.waiting.push(waits("bob", 1999));
        cluster.end("ada");
        assert_eq!(cluster.fill(2000), ["bob"], "{jobs} slots");
    }
}

#[test]
fn while_slots_are_free_it_looks_again() {
    for (jobs, wanted) in [(0, None), (1, None), (2, Some(at(50))), (3, Some(at(50)))] {
        let known = Known {
            now: at(50),
            limits: Limits { jobs, per_user: 9, pending: SignedDuration::from_secs(60) },
            due: vec![waits("ada", 0), waits("ada", 1)],
            ..Known::nothing()
        };
        let mut plan = Plan::default();
        choose(&known, &mut plan);
        assert_eq!((plan.actions.len(), plan.wake_at), (jobs.min(2), wanted), "{jobs} slots");
    }
}

#[test]
fn users_take_turns_on_one_slot() {
    let waiting = (0..30).map(|second| waits(["ada", "bob", "eve"][second / 10], second as i64));
    let mut cluster = Cluster::with(1, waiting.collect());
    let mut order = Vec::new();
    for _ in 0..9 {
        let next = cluster.fill(100).remove(0);
        cluster.end(&next);
        order.push(next);
    }
    assert_eq!(order, ["ada", "bob", "eve", "ada", "bob", "eve", "ada", "bob", "eve"]);
}

#[test]
fn slots_are_shared_evenly_and_none_stays_free() {
    let mut waiting: Vec<_> = (0..10).map(|second| waits("ada", second)).collect();
    waiting.extend([waits("bob", 20), waits("bob", 21), waits("eve", 22)]);
    let mut cluster = Cluster::with(7, waiting);
    assert_eq!(cluster.fill(100), ["ada", "bob", "eve", "ada", "bob", "ada", "ada"]);
}

#[test]
fn who_has_more_at_work_stands_back() {
    let mut cluster = Cluster::with(2, vec![waits("ada", 0), waits("ada", 1)]);
    assert_eq!(cluster.fill(2), ["ada", "ada"]);
    cluster.waiting =
        (3..9).map(|second| waits(["ada", "bob"][second % 2], second as i64)).collect();
    cluster.jobs = 5;
    cluster.per_user = 5;
    assert_eq!(cluster.fill(10), ["bob", "bob", "ada"]);
}

#[test]
fn a_user_has_no_more_than_is_allowed() {
    let mut waiting: Vec<_> = (0..10).map(|second| waits("ada", second)).collect();
    waiting.push(waits("bob", 20));
    let mut cluster = Cluster { per_user: 2, ..Cluster::with(9, waiting) };
    assert_eq!(cluster.fill(100), ["ada", "bob", "ada"]);
    assert_eq!(cluster.fill(100), Vec::<String>::new());
    cluster.end("ada");
    assert_eq!(cluster.fill(100), ["ada"]);
}

#[test]
fn batches_yield_but_not_for_ever() {
    let patience = PATIENCE.as_secs();
    let mut waiting: Vec<_> = (0..100).map(|second| waits("ada", second)).collect();
    waiting.extend((0..100).map(|second| in_batch(waits("bob", 50 + second))));
    let mut cluster = Cluster::with(2, waiting);
    assert_eq!(cluster.fill(50 + patience - 1), ["ada", "ada"]);
    cluster.end("ada");
    cluster.end("ada");
    // One slot, and only one at a time, though all of them have waited for so long.
    assert_eq!(cluster.fill(200 + patience), ["bob", "ada"]);
    cluster.end("ada");
    assert_eq!(cluster.fill(200 + patience), ["ada"]);
    cluster.waiting.retain(|it| it.owner.as_str() == "bob");
    cluster.end("ada");
    assert_eq!(cluster.fill(51), ["bob"]);
}

#[test]
fn no_batch_has_an_only_slot_to_itself() {
    let mut waiting: Vec<_> = (0..4).map(|second| in_batch(waits("bob", second))).collect();
    waiting.extend((0..2).map(|second| waits("ada", 900 + second)));
    let mut cluster = Cluster::with(1, waiting);
    let mut order = Vec::new();
    for _ in 0..6 {
        let next = cluster.fill(1000).remove(0);
        cluster.end(&next);
        order.push(next);
    }
    assert_eq!(order, ["bob", "ada", "bob", "ada", "bob", "bob"]);
}

#[test]
fn what_is_paused_gets_no_slot() {
    let batch = in_batch(waits("ada", 0));
    let limits = Limits { jobs: 2, per_user: 2, pending: SignedDuration::ZERO };
    let due = vec![batch.clone(), waits("bob", 1)];
    let known = Known { now: at(9), limits, due, ..Known::nothing() };
    let chosen = |known: &Known| {
        let mut plan = Plan::default();
        choose(known, &mut plan);
        plan.actions.len()
    };
    assert_eq!(chosen(&known), 2);
    let paused_batches = batch.batch.into_iter().collect();
    assert_eq!(chosen(&Known { paused_batches, ..known.clone() }), 1);
    assert_eq!(chosen(&Known { paused: true, ..known }), 0);
}

/// Broken off in its first attempt.
fn interrupted(record: Conversion, cause: domain::Cause) -> Conversion {
    let setback = domain::Setback { attempt: 0, at: at(0), cause };
    Conversion { setbacks: vec![setback], ..record }
}

#[test]
fn who_was_interrupted_goes_on_before_all_others() {
    use domain::Cause::{Disruption, NeverStarted};
    let back = |record| interrupted(record, Disruption("its node is lost".to_owned()));
    let mut waiting: Vec<_> = (0..5).map(|second| waits("ada", second)).collect();
    waiting.push(back(in_batch(waits("eve", 90))));
    // Not the first of its owner.
    waiting.extend([waits("bob", 98), back(waits("bob", 99))]);
    let mut cluster = Cluster::with(1, waiting);
    assert_eq!(cluster.fill(100), ["bob"]);
    cluster.running.clear();
    assert_eq!(cluster.fill(100), ["eve"]);
    cluster.running.clear();
    // It had no slot that could be its own.
    let image = NeverStarted("no image".to_owned());
    cluster.waiting.push(interrupted(waits("bob", 100), image));
    assert_eq!(cluster.fill(100), ["ada"]);
}

#[test]
fn a_slot_is_its_records_until_that_says_what_came_of_it() {
    let mut cluster = Cluster::with(1, vec![waits("ada", 0), waits("bob", 1)]);
    assert_eq!(cluster.fill(2), ["ada"]);
    let record = cluster.running[0].clone();
    let phase = crate::launcher::Phase::Failed(domain::Cause::Trouble("killed".to_owned()));
    let job = crate::launcher::Job {
        name: job_name(record.id, 1),
        conversion: record.id,
        attempt: 1,
        created_at: at(2),
        phase,
    };
    let limits = Limits { jobs: 1, per_user: 1, pending: SignedDuration::ZERO };
    let known =
        Known { limits, jobs: vec![job], running: cluster.running.clone(), ..Known::nothing() };
    assert_eq!(known.free_slots(), 0);
    assert_eq!(Known { running: Vec::new(), ..known }.free_slots(), 1);
}

#[test]
fn a_full_quota_is_tried_by_one_at_a_time() {
    let limits = Limits { jobs: 10, per_user: 10, pending: SignedDuration::ZERO };
    let running = |count: i64| -> Vec<_> {
        let start = |second| Conversion { state: State::Running, ..waits("ada", second) };
        (0..count).map(start).collect()
    };
    let known = |now, count, full| Known {
        now: at(now),
        limits,
        running: running(count),
        full,
        ..Known::nothing()
    };
    // Three were made, and the fourth was refused.
    let full = Full::after(&known(0, 0, None), 3, true);
    assert_eq!(known(4, 3, full).free_slots(), 0);
    assert_eq!(known(5, 3, full).free_slots(), 1);
    // As many as have ended since.
    assert_eq!(known(1, 1, full).free_slots(), 2);
    let mut plan = Plan::default();
    choose(&known(1, 3, full), &mut plan);
    assert_eq!(plan.wake_at, Some(at(5)));
    let mut plan = Plan::default();
    choose(&known(5, 3, full), &mut plan);
    assert_eq!(plan.wake_at, None);
    // What fits where others ended says nothing; what fits beside all of them lets another try.
    let same = Full::after(&known(1, 2, full), 1, false);
    assert_eq!(same, full);
    let more = Full::after(&known(5, 3, full), 1, false);
    assert_eq!(known(5, 4, more).free_slots(), 1);
    assert_eq!(Full::after(&known(5, 9, more), 1, false), None);
    assert_eq!(Full::after(&known(5, 9, None), 1, true), None);
}

#[test]
fn of_those_who_had_turns_a_thousand_are_remembered() {
    let mut turns = Turns::default();
    let names: Vec<UserName> = (0..1500).map(|n| format!("u{n}").parse().unwrap()).collect();
    for name in &names {
        turns.take(Lane::Interactive, name);
    }
    assert_eq!(turns.last.len(), MOST_TURNS);
    assert_eq!(turns.last(Lane::Interactive, &names[0]), 0);
    assert!(
        turns.last(Lane::Interactive, &names[1499]) > turns.last(Lane::Interactive, &names[1498])
    );
    assert_eq!(turns.last(Lane::Bulk, &names[1499]), 0);
}

/// Who is chosen of all must be chosen of those few that a pass reads.
#[test]
fn as_many_are_read_as_could_be_next() {
    for seed in 0..2000 {
        let mut choices = Choices::of(seed);
        let one = |choices: &mut Choices| {
            let record = waits(&format!("u{}", choices.below(30)), choices.below(500) as i64);
            if choices.one_in(3) { in_batch(record) } else { record }
        };
        let jobs = 1 + choices.below(6);
        let running = (0..choices.below(jobs)).map(|_| {
            let record = one(&mut choices);
            Conversion { state: State::Running, attempt: 1, ..record }
        });
        let running: Vec<_> = running.collect();
        let waiting: Vec<_> = (0..choices.below(60)).map(|_| one(&mut choices)).collect();
        let mut turns = Turns::default();
        for _ in 0..choices.below(20) {
            let record = one(&mut choices);
            turns.take(record.lane(), &record.owner);
        }
        let limits = Limits { jobs, per_user: 1 + choices.below(2), pending: PATIENCE };
        let now = at(300 + choices.below(800) as i64);
        let known = Known { now, limits, turns, running, ..Known::nothing() };
        let plan = |due| {
            let mut plan = Plan::default();
            choose(&Known { due, ..known.clone() }, &mut plan);
            plan
        };
        let of = |owners| plan(samples::due(waiting.iter(), &known, owners));
        assert_eq!(of(known.owners_needed()), of(usize::MAX), "seed {seed}");
    }
}
