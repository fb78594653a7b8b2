//! What the dispatcher lets others know, so that they can say when a conversion's turn comes: its slots,
//! and how long conversions take, learnt from each that it sees succeed.

use crate::decide::Limits;
use domain::{Capacity, Conversion, State};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use storage::{Error, Storage};

/// Between two times of telling.
const BETWEEN: Duration = Duration::from_secs(5);

/// What is known, and when it was told.
#[derive(Default)]
pub(crate) struct Lesson {
    capacity: Option<Capacity>,
    told: Option<(Instant, Capacity)>,
}

impl Lesson {
    /// Takes over what was told by whoever acted before.
    pub(crate) async fn take_over(&mut self, storage: &Storage) -> Result<&mut Capacity, Error> {
        if self.capacity.is_none() {
            let told = match storage.capacity().await {
                Err(error @ Error::Corrupt(_)) => {
                    tracing::warn!(%error, "what forecasts rest on cannot be read and begins anew");
                    None
                }
                told => told?,
            };
            self.capacity = Some(told.unwrap_or_default());
        }
        Ok(self.capacity.get_or_insert_default())
    }

    /// Learns from one that has ended, and whose job began then: later than its dispatch where it was
    /// held back.
    pub(crate) fn learn(&mut self, record: &Conversion, job_began: Option<Timestamp>) {
        if let (State::Succeeded, Some(dispatched), Some(ended), Some(capacity)) =
            (record.state, record.dispatched_at, record.finished_at, &mut self.capacity)
        {
            let began = job_began.map_or(dispatched, |began| began.max(dispatched));
            capacity.speed.learn(record.video_bytes, ended.duration_since(began));
        }
    }

    /// Seconds that an attempt will take, as far as others tell.
    pub(crate) fn expected(&self, record: &Conversion) -> Option<f64> {
        self.capacity?.speed.seconds(record.video_bytes as f64)
    }

    /// Tells what is new, not too often.
    pub(crate) async fn tell(&mut self, storage: &Storage, limits: Limits) -> Result<(), Error> {
        let capacity = self.take_over(storage).await?;
        capacity.slots = u32::try_from(limits.jobs).unwrap_or(u32::MAX);
        capacity.per_user = u32::try_from(limits.per_user).unwrap_or(u32::MAX);
        let now = *capacity;
        if self.told.is_none_or(|(at, told)| told != now && at.elapsed() >= BETWEEN) {
            storage.set_capacity(&now).await?;
            self.told = Some((Instant::now(), now));
        }
        Ok(())
    }
}
