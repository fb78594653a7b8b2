//! An hour of a busy cluster: the real choice and the real forecast, and simulated users, videos and
//! converters. How far off the forecasts are.

use super::{
    super::{Limits, simulation::Choices},
    tests::{at, waits},
    *,
};
use domain::{Capacity, ConversionId, Crowd, Share, Speed, Waiting};
use jiff::Timestamp;

const HOUR: i64 = 3_600_000;
const SLOTS: usize = 4;
/// Megabytes that a converter goes through in a second, if all goes as usual.
const PACE: f64 = 20.0;

struct Hour {
    now: i64,
    choices: Choices,
    waiting: Vec<Conversion>,
    /// With the millisecond of their end.
    running: Vec<(i64, Conversion)>,
    turns: Turns,
    speed: Speed,
    /// Of those that had to wait: when they came, and when they were expected to be done.
    expected: HashMap<ConversionId, (i64, f64)>,
    /// Who uploaded how much, and when.
    arrivals: Vec<(i64, UserName, Waiting)>,
    errors: Vec<f64>,
    converted: usize,
}

fn moment(millis: i64) -> Timestamp {
    at(0) + SignedDuration::from_millis(millis)
}

impl Hour {
    /// Uniform from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.choices.below(1_000_000) as f64 / 1e6
    }

    /// A user uploads some videos, of 5 MB to 1 GB each, small ones more often.
    fn upload(&mut self, user: usize, count: usize) {
        for _ in 0..count {
            let size = 5e6 * 200f64.powf(self.chance().powi(2));
            let record = waits(&format!("user{user}"), 0);
            let created_at = moment(self.now);
            let record = Conversion {
                video_bytes: size as u64,
                created_at,
                not_before: created_at,
                ..record
            };
            let one = Waiting { count: 1, bytes: record.video_bytes };
            self.arrivals.push((self.now, record.owner.clone(), one));
            self.waiting.push(record.clone());
            self.fill();
            self.expect(&record);
        }
    }

    fn expect(&mut self, mine: &Conversion) {
        let Some(place) = self.waiting.iter().position(|it| it.id == mine.id) else { return };
        let own = self.waiting[..place].iter().filter(|it| it.owner == mine.owner);
        let ahead = own.fold(Waiting::default(), |sum, it| Waiting {
            count: sum.count + 1,
            bytes: sum.bytes + it.video_bytes,
        });
        if let Some(seconds) = self.crowd().place(mine, ahead).seconds {
            self.expected.insert(mine.id, (self.now, seconds));
        }
    }

    fn crowd(&self) -> Crowd {
        let capacity = Capacity { slots: SLOTS as u32, per_user: SLOTS as u32, speed: self.speed };
        let mut shares: Vec<Share> = Vec::new();
        for record in &self.waiting {
            let one = Waiting { count: 1, bytes: record.video_bytes };
            match shares.iter_mut().find(|share| share.owner == record.owner) {
                Some(share) => {
                    share.waiting.count += one.count;
                    share.waiting.bytes += one.bytes;
                }
                None => shares.push(Share {
                    owner: record.owner.clone(),
                    lane: Lane::Interactive,
                    waiting: one,
                    oldest: record.created_at,
                }),
            }
        }
        let since = self.now - i64::try_from(Crowd::LATE.as_millis()).unwrap();
        let late = self.arrivals.iter().filter(|(at, ..)| *at >= since);
        let arrivals = late.map(|(_, owner, one)| (owner.clone(), *one)).collect();
        let mut crowd = Crowd { capacity, shares, running: Vec::new(), arrivals };
        self.running.iter().for_each(|(_, it)| crowd.add_running(it, moment(self.now)));
        crowd
    }

    fn fill(&mut self) {
        let known = Known {
            now: moment(self.now),
            limits: Limits { jobs: SLOTS, per_user: SLOTS, pending: SignedDuration::from_secs(60) },
            due: self.waiting.clone(),
            turns: self.turns.clone(),
            running: self.running.iter().map(|(_, record)| record.clone()).collect(),
            ..Known::nothing()
        };
        let mut plan = Plan::default();
        choose(&known, &mut plan);
        for action in plan.actions {
            let Action::Dispatch(id, _) = action else { continue };
            let at = self.waiting.iter().position(|it| it.id == id).unwrap();
            let record = self.waiting.remove(at);
            self.turns.take(record.lane(), &record.owner);
            // Two seconds to begin with, and a quarter faster or slower than usual.
            let work = record.video_bytes as f64 / 1e6 / PACE * (0.75 + 0.5 * self.chance());
            let end = self.now + 2000 + (work * 1e3) as i64;
            let dispatched_at = Some(moment(self.now));
            self.running.push((
                end,
                Conversion { state: State::Running, attempt: 1, dispatched_at, ..record },
            ));
        }
    }

    fn end_next(&mut self) {
        let next = (0..self.running.len()).min_by_key(|at| self.running[*at].0).unwrap();
        let (end, record) = self.running.swap_remove(next);
        self.now = end;
        self.converted += 1;
        let took = moment(end).duration_since(record.dispatched_at.unwrap());
        self.speed.learn(record.video_bytes, took);
        if let Some((came, seconds)) = self.expected.remove(&record.id) {
            let actual = (end - came) as f64 / 1e3;
            if actual > 30.0 {
                self.errors.push((seconds - actual).abs() / actual);
            }
        }
        self.fill();
    }

    fn run(seed: u64) -> Self {
        let mut hour = Self {
            now: 0,
            choices: Choices::of(seed),
            waiting: Vec::new(),
            running: Vec::new(),
            turns: Turns::default(),
            speed: Speed::default(),
            expected: HashMap::new(),
            arrivals: Vec::new(),
            errors: Vec::new(),
            converted: 0,
        };
        let mut next_upload = 0;
        while hour.now < HOUR {
            let next_end = hour.running.iter().map(|(end, _)| *end).min().unwrap_or(i64::MAX);
            if next_upload <= next_end {
                hour.now = next_upload;
                // Mostly one video, at times all that a camera holds.
                let (user, many) = (hour.choices.below(20), hour.choices.one_in(8));
                let count = if many { 1 + hour.choices.below(30) } else { 1 };
                hour.upload(user, count);
                next_upload += (-hour.chance().max(1e-6).ln() * 8_000.0) as i64;
            } else {
                hour.end_next();
            }
        }
        hour
    }
}

/// One hour has many bursts at its end and another none: twenty tell.
#[test]
fn forecasts_are_good_to_a_quarter() {
    let median = |errors: &mut Vec<f64>| {
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let (mut all, mut medians) = (Vec::new(), Vec::new());
    for seed in 0..20 {
        let mut hour = Hour::run(seed);
        assert!(
            hour.errors.len() > 100,
            "seed {seed}: only {} of {}",
            hour.errors.len(),
            hour.converted
        );
        medians.push(median(&mut hour.errors));
        all.extend(hour.errors);
    }
    let (off, usual) = (median(&mut all), median(&mut medians));
    eprintln!("{} forecasts, off by {off:.3}; of the hours {medians:.3?}", all.len());
    assert!(off < 0.25 && usual < 0.25, "off by {off}, in a usual hour by {usual}");
}
