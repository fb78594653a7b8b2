//! The deciders against a simulated store, cluster and clock.
//!
//! Every seed is one history of steps: uploads, passes that a crash cuts short between any two
//! actions, calls that are done and reported failed or not done at all, a second dispatcher that acts
//! on an old view, a watch that stands still, pods that die, freeze, run twice or outlive their Job,
//! Jobs deleted by strangers or held back by Kueue, clocks that jump, conversions called off or deleted by their owner,
//! dispatching and a batch that are paused and resumed, a backup that is put back.
//! A message that is lost or comes twice is a pass that does not come, or comes twice. Then the faults
//! stop, and everything must come to one end. `SEED=n` repeats a history; what fails is shrunk.

mod mistakes;
mod world;

use super::*;
use world::{Rules, World};

/// Unless `SEEDS` says otherwise; in `make soak` ten times as many.
const SEEDS: u64 = 100_000;
const STEPS: usize = 200;

/// One thing that happens. The numbers choose among what is there, and decide what is left to chance.
#[derive(Clone, Debug)]
enum Step {
    /// A video comes in.
    Upload,
    /// A dispatcher makes a pass, perhaps with faults.
    Pass { chance: u64 },
    /// A process of an attempt goes on, perhaps with faults.
    Pod { chance: u64 },
    /// Time goes by.
    Wait { millis: i64 },
    /// The clock is set.
    Jump { minutes: i64 },
    /// The owner calls a conversion off.
    Cancel { nth: usize },
    /// The owner deletes a video: its conversion's record is gone.
    Vanish { nth: usize },
    /// A stranger deletes a Job.
    Stranger { nth: usize },
    /// Kueue gives a Job's room to another.
    Suspend { nth: usize },
    /// A quota lets so many Jobs be alive.
    Quota { jobs: usize },
    /// Kueue lets a Job begin that it held back.
    Admit { nth: usize },
    /// The dispatcher dies, and its children with it.
    Crash,
    /// The watch shows nothing new from here on.
    Gap,
    /// The watch goes on.
    Relist,
    /// A second dispatcher looks.
    Look,
    /// It acts on what it saw.
    Act { chance: u64 },
    /// The store does not answer for a while.
    Outage { millis: i64 },
    /// An operator makes a backup of the store.
    Backup,
    /// And puts it back, after all that writes was stopped and the Jobs were deleted.
    Restore,
    /// An operator pauses dispatching, or resumes it.
    Switch,
    /// An operator pauses the batch, or resumes it.
    Hold,
}

/// What runs attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    /// Children of the dispatcher.
    Children,
    /// Jobs that begin at once.
    Jobs,
    /// Jobs that Kueue holds back.
    Kueue,
}

#[derive(Clone, Debug)]
struct History {
    runner: Runner,
    steps: Vec<Step>,
    /// For what is left to chance after the faults.
    chance: u64,
}

/// A stream of choices that follows from its seed (splitmix64).
pub(super) struct Choices(u64);

impl Choices {
    pub(super) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn step(&mut self) -> Step {
        match self.below(50) {
            0..2 => Step::Upload,
            2..11 => Step::Pass { chance: self.next() },
            11..29 => Step::Pod { chance: self.next() },
            29..31 => Step::Wait { millis: self.below(20_000) as i64 },
            31 => Step::Jump { minutes: self.below(25 * 60) as i64 - 60 },
            32 => Step::Cancel { nth: self.below(8) },
            33 => Step::Vanish { nth: self.below(8) },
            34 => Step::Stranger { nth: self.below(4) },
            35 => Step::Crash,
            36 => Step::Gap,
            37 => Step::Relist,
            38 => Step::Look,
            39 => Step::Switch,
            40 => Step::Hold,
            41 => Step::Outage { millis: self.below(40_000) as i64 },
            42 => Step::Suspend { nth: self.below(4) },
            43..46 => Step::Admit { nth: self.below(4) },
            46 => Step::Backup,
            47 => Step::Restore,
            48 => Step::Quota { jobs: self.below(4) },
            _ => Step::Act { chance: self.next() },
        }
    }
}

impl History {
    fn of(seed: u64) -> Self {
        let mut choices = Choices(seed);
        let runner = match choices.below(4) {
            0 | 1 => Runner::Children,
            2 => Runner::Jobs,
            _ => Runner::Kueue,
        };
        // Faults stop anywhere, most often in the middle of things.
        let steps = (0..20 + choices.below(STEPS)).map(|_| choices.step()).collect();
        Self { runner, steps, chance: choices.next() }
    }

    /// What is wrong with its course, if anything.
    fn fault(&self, rules: Rules) -> Option<String> {
        let mut world = World::new(rules, self.runner);
        world.step(&Step::Upload);
        for step in &self.steps {
            world.step(step);
            world.check_always();
        }
        world.come_to_an_end(self.chance);
        world.fault
    }

    /// As short as it can be made while it has a fault: ever smaller pieces are left out, and what
    /// stays is made plainer.
    fn shrunk(mut self, rules: Rules) -> Self {
        let fails = |history: &Self| history.fault(rules).is_some();
        let mut size = self.steps.len();
        while size > 0 {
            let mut changed = false;
            for at in (0..self.steps.len()).rev() {
                let mut shorter = self.clone();
                let end = (at + size).min(shorter.steps.len());
                shorter.steps.drain(at.min(end)..end);
                let plainer = self.steps[at].plainer().into_iter().map(|step| {
                    let mut history = self.clone();
                    history.steps[at] = step;
                    history
                });
                let smaller = [shorter].into_iter().chain(plainer.filter(|_| size == 1));
                if let Some(history) = smaller.into_iter().find(fails) {
                    (self, changed) = (history, true);
                }
            }
            if !changed {
                size /= 2;
            }
        }
        self
    }
}

impl Step {
    /// The same with smaller numbers.
    fn plainer(&self) -> Vec<Self> {
        let (few, at_most) = (0..16, |nth: usize| 0..nth);
        match *self {
            Self::Pass { chance } => {
                few.filter(|it| *it < chance).map(|chance| Self::Pass { chance }).collect()
            }
            Self::Pod { chance } => {
                few.filter(|it| *it < chance).map(|chance| Self::Pod { chance }).collect()
            }
            Self::Cancel { nth } => at_most(nth).map(|nth| Self::Cancel { nth }).collect(),
            Self::Vanish { nth } => at_most(nth).map(|nth| Self::Vanish { nth }).collect(),
            Self::Stranger { nth } => at_most(nth).map(|nth| Self::Stranger { nth }).collect(),
            Self::Suspend { nth } => at_most(nth).map(|nth| Self::Suspend { nth }).collect(),
            Self::Admit { nth } => at_most(nth).map(|nth| Self::Admit { nth }).collect(),
            _ => Vec::new(),
        }
    }
}

type Decider = fn(&Known) -> Plan;

#[test]
fn every_history_comes_to_one_end() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => {
            let usual = if std::env::var("SOAK_MINUTES").is_ok() { 10 * SEEDS } else { SEEDS };
            0..std::env::var("SEEDS").map_or(usual, |seeds| seeds.parse().unwrap())
        }
    };
    for seed in seeds {
        let history = History::of(seed);
        if let Some(fault) = history.fault(Rules::RIGHT) {
            let short = history.shrunk(Rules::RIGHT);
            let also = short.fault(Rules::RIGHT);
            panic!("repeat with SEED={seed}: {fault}\nshrunk to {short:#?}: {also:?}");
        }
    }
}

const FORGETFUL: Rules = Rules { decider: mistakes::misses_no_job, flaw: None };

#[test]
fn a_planted_fault_is_found_repeats_and_shrinks() {
    let find = |seed| History::of(seed).fault(FORGETFUL).map(|fault| (seed, fault));
    let (seed, fault) = (0..SEEDS).find_map(find).unwrap();
    assert_eq!(History::of(seed).fault(FORGETFUL), Some(fault));
    let short = History::of(seed).shrunk(FORGETFUL);
    assert!(short.fault(FORGETFUL).is_some());
    assert_eq!(format!("{short:?}"), format!("{:?}", History::of(seed).shrunk(FORGETFUL)));
    assert!(short.steps.len() <= 5, "seed {seed} is shrunk only to {short:#?}");
}
