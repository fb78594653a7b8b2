//! Signs of life: the progress, written into the record.

use crate::work::Done;
use domain::{Change, Conversion, Pace};
use std::{cell::Cell, time::Duration};
use storage::{ChangeError, Storage};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Between two looks at the progress: nothing is written more often.
const SOON: Duration = Duration::from_secs(1);
/// Looks without news before a sign of life is written all the same.
const QUIET_LOOKS: u32 = 2;
/// For one answer; a write that hangs must not keep the next from being tried.
const ANSWER: Duration = Duration::from_secs(4);

/// Writes the progress, or only that it lives, until the record refuses it. While storage is away it goes on
/// trying: the work may yet be in time.
pub(super) async fn beat(storage: &Storage, record: &Conversion, done: Option<&Cell<Done>>) {
    let mut looks = interval_at(Instant::now() + SOON, SOON);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut written, mut quiet, mut away) = (done.map(|_| Done::default()), 0, false);
    let began = Instant::now();
    loop {
        looks.tick().await;
        let now = done.map(Cell::get);
        quiet += 1;
        if now == written && quiet < QUIET_LOOKS {
            continue;
        }
        let percent = now.map(|now| now.percent);
        let pace = now.and_then(|now| Pace::of(began.elapsed(), now.sound_ms, now.percent));
        let change = Change::Progress { claim: record.claim, percent, pace };
        let failed = match timeout(ANSWER, storage.change(record.id, &change)).await {
            Ok(Ok(_)) => None,
            Ok(Err(ChangeError::Refused(refused))) => {
                tracing::info!(%refused, "a sign of life was refused");
                return;
            }
            Ok(Err(ChangeError::Storage(error))) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        match failed {
            None => (written, quiet, away) = (now, 0, false),
            Some(error) if !away => {
                tracing::warn!(error, "signs of life cannot be written; trying on");
                away = true;
            }
            Some(_) => {}
        }
    }
}
