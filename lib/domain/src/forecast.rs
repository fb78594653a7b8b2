//! When the turn of a waiting conversion comes and when it will be done, from what lies before it and
//! from how long conversions have taken of late.

use crate::{Conversion, Lane, UserName};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BinaryHeap};

/// What an observation still counts when the next one has come: the last fifty matter.
const FADE: f64 = 0.98;
/// Waiting conversions whose slots are found one by one; what lies before them is shared evenly.
const ONE_BY_ONE: u64 = 10_000;

/// Of the slots, at most so much is left to those who come later.
const MOST_OVERTAKEN: f64 = 0.75;

/// How long conversions take by the size of their videos: a straight line through what was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speed {
    weight: f64,
    megabytes: f64,
    seconds: f64,
    /// Megabytes by megabytes.
    squares: f64,
    /// Megabytes by seconds.
    products: f64,
}

impl Speed {
    /// One conversion of a video of so many bytes took so long, from its dispatch to its end.
    pub fn learn(&mut self, bytes: u64, took: SignedDuration) {
        let (x, y) = (megabytes(bytes), took.as_secs_f64().max(0.0));
        for (sum, one) in [
            (&mut self.weight, 1.0),
            (&mut self.megabytes, x),
            (&mut self.seconds, y),
            (&mut self.squares, x * x),
            (&mut self.products, x * y),
        ] {
            *sum = *sum * FADE + one;
        }
    }

    /// Seconds that a video of so many bytes takes; none before anything was measured.
    pub fn seconds(&self, bytes: f64) -> Option<f64> {
        let (n, x, y) = (self.weight, self.megabytes, self.seconds);
        if n < 0.5 {
            return None;
        }
        let spread = n * self.squares - x * x;
        // Sizes that differ by less than a thousandth are all one.
        let slope = if spread > 1e-6 * n * self.squares {
            (n * self.products - x * y) / spread
        } else {
            0.0
        };
        let base = (y - slope * x) / n;
        let size = bytes / 1e6;
        // A line that falls, or begins below zero, says more than was measured.
        Some(if slope < 0.0 {
            y / n
        } else if base < 0.0 {
            y / x * size
        } else {
            base + slope * size
        })
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What a dispatcher lets others know, so that they can say whose turn comes when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Jobs alive at once.
    pub slots: u32,
    /// Of them, those of one user.
    pub per_user: u32,
    /// How long conversions take.
    pub speed: Speed,
}

/// Some that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// Of their videos.
    pub bytes: u64,
}

/// All that one owner has waiting in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose.
    pub owner: UserName,
    /// Where.
    pub lane: Lane,
    /// How much.
    pub waiting: Waiting,
    /// When the longest waiting was accepted.
    pub oldest: Timestamp,
}

/// Everything that waits or runs.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    /// What the dispatcher lets know.
    pub capacity: Capacity,
    /// What waits.
    pub shares: Vec<Share>,
    /// Whose conversion runs, in which lane, and the seconds it has left.
    pub running: Vec<(UserName, Lane, f64)>,
    /// What was uploaded of late, within [`Crowd::LATE`].
    pub arrivals: Vec<(UserName, Waiting)>,
}

/// Where a waiting conversion stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// 1 for the one that gets the next free slot.
    pub position: u64,
    /// Seconds until it is done; none before anything was measured.
    pub seconds: Option<f64>,
}

impl Crowd {
    /// As far back as arrivals are looked at.
    pub const LATE: SignedDuration = SignedDuration::from_mins(15);

    /// Adds a conversion that runs.
    pub fn add_running(&mut self, record: &Conversion, now: Timestamp) {
        let since = |at: Timestamp| now.duration_since(at).as_secs_f64().max(0.0);
        let told = record.pace.zip(record.alive_at);
        let told = told.map(|(pace, at)| f64::from(pace.seconds_left) - since(at));
        let whole = self.capacity.speed.seconds(record.video_bytes as f64);
        // One that is held back has not begun.
        let began = record.dispatched_at.filter(|_| record.waiting.is_none());
        let guess = whole.map(|whole| whole - began.map_or(0.0, since));
        let left = told.or(guess).unwrap_or(0.0).max(0.0);
        self.running.push((record.owner.clone(), record.lane(), left));
    }

    /// The place of one that waits; `ahead` are those of its owner in its lane that come before it.
    pub fn place(&self, mine: &Conversion, ahead: Waiting) -> Place {
        let before = self.before(mine, ahead);
        let capacity = &self.capacity;
        let seconds = capacity.speed.seconds(mine.video_bytes as f64).map(|own| {
            let each = |waiting| self.seconds_each(waiting);
            let all = self.running.iter().map(|(.., left)| *left).collect();
            let theirs = self.running.iter().filter(|(owner, ..)| *owner == mine.owner);
            let theirs = theirs.map(|(.., left)| *left).collect();
            let start = start(capacity.slots, all, before.count, each(before));
            let start = start / (1.0 - self.overtaken(mine, ahead));
            start.max(self::start(capacity.per_user, theirs, ahead.count, each(ahead))) + own
        });
        Place { position: before.count + 1, seconds }
    }

    fn seconds_each(&self, waiting: Waiting) -> f64 {
        let mean = waiting.bytes as f64 / waiting.count.max(1) as f64;
        self.capacity.speed.seconds(mean).unwrap_or(0.0)
    }

    /// The part of the slots that others will take who are not here yet, if they come as of late. They
    /// go before all of a batch. Before an upload go only those of theirs that have no more of their owner's
    /// before them than it has: of a few the first, of many more than half.
    fn overtaken(&self, mine: &Conversion, ahead: Waiting) -> f64 {
        let part = match mine.lane() {
            Lane::Bulk => 1.0,
            Lane::Interactive => {
                let deep = ahead.count as f64;
                0.6 * deep / (deep + 5.0)
            }
        };
        let others = self.arrivals.iter().filter(|(owner, _)| *owner != mine.owner);
        let work: f64 = others.map(|(_, it)| it.count as f64 * self.seconds_each(*it)).sum();
        let slots = f64::from(self.capacity.slots.max(1));
        (part * work / Self::LATE.as_secs_f64() / slots).min(MOST_OVERTAKEN)
    }

    /// What is dispatched before it: all that is as far down in its owner's queue, counted from what
    /// that owner has at work, and everything of the lanes that go first.
    fn before(&self, mine: &Conversion, ahead: Waiting) -> Waiting {
        let at_work = |owner: &UserName| {
            let own =
                |(whose, lane, _): &&(UserName, Lane, f64)| whose == owner && *lane == mine.lane();
            self.running.iter().filter(own).count() as u64
        };
        let level = at_work(&mine.owner) + ahead.count;
        let own = self.shares.iter().find(|it| it.owner == mine.owner && it.lane == mine.lane());
        let oldest = own.map_or(mine.created_at, |own| own.oldest);
        let mut before = ahead;
        for share in &self.shares {
            let all = share.waiting.count;
            let count = match share.lane.cmp(&mine.lane()) {
                std::cmp::Ordering::Less => all,
                std::cmp::Ordering::Equal if share.owner != mine.owner => {
                    let goes_first = u64::from(share.oldest < oldest);
                    (level + goes_first).saturating_sub(at_work(&share.owner)).min(all)
                }
                _ => 0,
            };
            before.count += count;
            before.bytes += (share.waiting.bytes as f64 * count as f64 / all.max(1) as f64) as u64;
        }
        before
    }
}

/// Seconds until one gets a slot that has `count` before it of `each` seconds, when those that run are
/// done after `running`.
fn start(slots: u32, mut running: Vec<f64>, count: u64, each: f64) -> f64 {
    let slots = slots.max(1) as usize;
    // Of slots that are free already no more matter than there are to fill.
    let used = slots.min(running.len() + count.min(ONE_BY_ONE) as usize + 1);
    running.sort_by(f64::total_cmp);
    // More run than there will be slots: so many must end first.
    let over = running.len().saturating_sub(slots);
    running.drain(..over);
    running.resize(used, 0.0);
    let shared = count.saturating_sub(ONE_BY_ONE);
    let shared = shared as f64 * each / slots as f64;
    let millis = |seconds: f64| (seconds * 1e3) as u64;
    let mut free: BinaryHeap<_> =
        running.into_iter().map(|left| Reverse(millis(left + shared))).collect();
    for _ in 0..count.min(ONE_BY_ONE) {
        if let Some(mut first) = free.peek_mut() {
            first.0 += millis(each);
        }
    }
    free.peek().map_or(0.0, |first| first.0 as f64 / 1e3)
}

#[cfg(test)]
mod tests;
