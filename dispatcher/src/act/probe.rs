//! What the admin port asks of the dispatcher.

use super::{Dispatcher, ROUND};
use crate::launcher::Launcher;
use futures::future::BoxFuture;
use jiff::Timestamp;
use process::admin::Probe;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use storage::Storage;

/// No pass takes so long: each answer that it waits for has a limit of its own.
const LONGEST_PASS: Duration = Duration::from_secs(600);

/// When the main loop last went round; none while it has nothing to do.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    pub(super) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Until the next beat.
    pub(super) fn rest(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_recent(&self) -> bool {
        let beat = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beat.is_none_or(|beat| beat.elapsed() < ROUND + LONGEST_PASS)
    }
}

struct Ready {
    storage: Storage,
    launcher: Arc<Launcher>,
    pulse: Arc<Pulse>,
}

impl Dispatcher {
    /// What the admin port asks.
    pub fn probe(&self) -> Arc<dyn Probe> {
        let (storage, launcher) = (self.storage.clone(), self.launcher.clone());
        Arc::new(Ready { storage, launcher, pulse: self.pulse.clone() })
    }
}

impl Probe for Ready {
    fn is_alive(&self) -> bool {
        self.pulse.is_recent()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            self.storage.ping().await.map_err(|error| error.to_string())?;
            self.launcher.trouble().map_or(Ok(()), Err)
        })
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let running = self.launcher.jobs().iter().filter(|job| job.phase.is_alive()).count();
            let active = self.launcher.tenure().borrow().is_here();
            metrics::gauge!("audio_converter_dispatcher_active").set(f64::from(u8::from(active)));
            metrics::gauge!("audio_converter_running_jobs").set(running as f64);
            // What cannot be asked keeps its value.
            let Ok(backlog) = self.storage.backlog().await else { return };
            let age = |at| Timestamp::now().duration_since(at).as_secs_f64().max(0.0);
            let oldest = backlog.oldest.map_or(0.0, age);
            metrics::gauge!("audio_converter_waiting_conversions").set(backlog.waiting as f64);
            metrics::gauge!("audio_converter_oldest_waiting_age_seconds").set(oldest);
        })
    }
}
