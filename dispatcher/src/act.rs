//! Passes: read what is known, decide, carry it out; then wait until something happens.

use crate::{
    Config, Error,
    config::Runner,
    decide::{Action, Known, Limits, Plan, decide},
    doorbell,
    ending::{self, Endings},
    launcher::{self, Children, Job, Kubernetes, Launcher, Note, job_name},
    sweep::sweep,
};
use domain::{Cause, Change, Conversion, ConversionId};
use jiff::{SignedDuration, Timestamp};
use queue::{Message, Mp3Message, Queue, VideoMessage};
use std::{collections::HashSet, sync::Arc, time::Duration};
use storage::{ChangeError, Storage, Work};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// A look at everything even if nothing rang: what a gateway could not announce before it died is
/// found within this time.
const ROUND: Duration = Duration::from_secs(30);
/// Wait after a pass that met trouble.
const TROUBLE_WAIT: Duration = Duration::from_secs(2);
/// Outbox entries handled in one pass.
const OUTBOX: u32 = 100;

/// The dispatcher, ready to run.
pub struct Dispatcher {
    limits: Limits,
    storage: Storage,
    queue: Queue,
    launcher: Launcher,
    wake: Arc<Notify>,
    endings: Endings,
}

impl Dispatcher {
    /// Connects everything. The token ends the watches and the consumers.
    pub async fn open(
        config: Config,
        storage: Storage,
        queue: Queue,
        token: &CancellationToken,
    ) -> Result<Self, Error> {
        let limits = Limits {
            jobs: config.max_jobs,
            pending: SignedDuration::from_secs(config.pending_limit_seconds.min(86_400) as i64),
        };
        let launcher = match config.runner {
            Runner::Kubernetes(jobs) => {
                Launcher::Kubernetes(Box::new(Kubernetes::open(jobs, token).await?))
            }
            Runner::Children(children) => Launcher::Children(Children::new(children)),
        };
        let wake = launcher.changed();
        doorbell::listen(&queue, &storage, &wake, token).await?;
        Ok(Self { limits, storage, queue, launcher, wake, endings: Endings::default() })
    }

    /// Passes until the token is cancelled. Jobs go on without it; children end with the process.
    pub async fn run(self, token: CancellationToken) {
        let (mut round, mut healthy) = (Instant::now(), true);
        loop {
            let due = round <= Instant::now();
            let passed = self.pass(due).await;
            if due {
                round = Instant::now() + ROUND;
            }
            let look_again = match &passed {
                Ok(wake_at) => wake_at.map_or(round, |at| instant(at).min(round)),
                Err(_) => Instant::now() + TROUBLE_WAIT,
            };
            match passed {
                Ok(_) if healthy => {}
                Ok(_) => tracing::info!("the dispatcher works again"),
                // Said once, not at every retry.
                Err(ref error) if healthy => {
                    tracing::warn!(error = %error, "a pass met trouble; trying again")
                }
                Err(_) => {}
            }
            healthy = passed.is_ok();
            tokio::select! {
                () = token.cancelled() => return,
                () = self.wake.notified(), if healthy => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    async fn pass(&self, sweeping: bool) -> Result<Option<Timestamp>, Error> {
        let known = self.look().await?;
        let Plan { actions, wake_at } = decide(&known);
        let mut trouble = None;
        for action in &actions {
            if let Err(error) = self.carry_out(action).await {
                trouble.get_or_insert(error);
            }
        }
        self.tell_endings(&known.jobs).await?;
        if sweeping {
            sweep(&self.storage).await?;
        }
        if let Some(error) = trouble {
            return Err(error);
        }
        let ended: Vec<_> = known
            .jobs
            .into_iter()
            .filter(|job| !job.phase.is_alive())
            .map(|job| job.name)
            .collect();
        self.launcher.forget(&ended);
        let free = known.limits.jobs > known.running.len();
        let next_due = if free { self.storage.next_due(known.now).await? } else { None };
        Ok(wake_at.into_iter().chain(next_due).min())
    }

    /// Reads jobs first and records after them; see [`decide`].
    async fn look(&self) -> Result<Known, Error> {
        let jobs = self.launcher.jobs();
        let now = Timestamp::now();
        let running = self.storage.work(Work::Running, 10_000).await?;
        let others = self.others(&jobs, &running).await?;
        Ok(Known {
            now,
            limits: self.limits,
            absent_is_dead: self.launcher.absent_is_dead(),
            jobs,
            due: self.storage.work(Work::Due(now), self.limits.jobs as u32).await?,
            running,
            others,
            unannounced: self.storage.work(Work::Unannounced, OUTBOX).await?,
            unpublished: self.storage.work(Work::Unpublished, OUTBOX).await?,
        })
    }

    async fn others(&self, jobs: &[Job], running: &[Conversion]) -> Result<Vec<Conversion>, Error> {
        let known: HashSet<ConversionId> = running.iter().map(|record| record.id).collect();
        let mut others = Vec::new();
        for job in
            jobs.iter().filter(|job| job.phase.is_alive() && !known.contains(&job.conversion))
        {
            match self.storage.conversion(job.conversion).await {
                Ok(record) => others.push(record),
                Err(storage::Error::NotFound) => {
                    tracing::info!(job.name, "the job's conversion has been deleted");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(others)
    }

    /// Says of each job that has ended since the last pass why its conversion failed, if it did.
    async fn tell_endings(&self, jobs: &[Job]) -> Result<(), Error> {
        let fresh = self.endings.fresh(jobs);
        if !fresh.is_empty() {
            let ids: Vec<_> = fresh.iter().map(|job| job.conversion).collect();
            for record in self.storage.conversions_of_ids(&ids).await? {
                if let Some(note) = ending::failed(&record) {
                    self.launcher.note(&job_name(record.id, record.attempt), &note).await;
                }
            }
        }
        self.endings.looked_at(jobs);
        Ok(())
    }

    async fn carry_out(&self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Change(id, change) => self.change(*id, change).await.map(drop),
            Action::Dispatch(id, attempt) => self.dispatch(*id, *attempt).await,
            Action::Launch(id) => match self.record(*id).await? {
                Some(record) => self.launch(&record).await,
                None => Ok(()),
            },
            Action::Delete(name) => Ok(self.launcher.delete(name).await?),
            Action::Announce(id) => self.announce(*id).await,
            Action::Publish(id) => self.publish(*id).await,
        }
    }

    /// The record as it is now; `None` where it has been deleted since.
    async fn record(&self, id: ConversionId) -> Result<Option<Conversion>, Error> {
        match self.storage.conversion(id).await {
            Err(storage::Error::NotFound) => Ok(None),
            read => Ok(Some(read?)),
        }
    }

    /// Makes a change; `None` where the record has moved on, which is no trouble.
    async fn change(&self, id: ConversionId, change: &Change) -> Result<Option<Conversion>, Error> {
        match self.storage.change(id, change).await {
            Ok(record) => {
                if let Change::Release { attempt, cause } = change {
                    let note = ending::taken_back(&record, cause);
                    self.launcher.note(&job_name(id, *attempt), &note).await;
                    tracing::info!(conversion.id = %id, ?cause, state = record.state.as_str(), "took an attempt back");
                }
                Ok(Some(record))
            }
            Err(ChangeError::Refused(_)) => Ok(None),
            Err(ChangeError::Storage(error)) => Err(error.into()),
        }
    }

    async fn dispatch(&self, id: ConversionId, attempt: u32) -> Result<(), Error> {
        match self.change(id, &Change::Dispatch { attempt }).await? {
            Some(record) => self.launch(&record).await,
            None => Ok(()),
        }
    }

    async fn launch(&self, record: &Conversion) -> Result<(), Error> {
        let cause = match self.launcher.launch(record).await {
            Ok(()) => {
                tracing::info!(conversion.id = %record.id, attempt = record.attempt, "dispatched");
                return Ok(());
            }
            Err(launcher::Error::Unavailable(cause)) => {
                return Err(launcher::Error::Unavailable(cause).into());
            }
            Err(error @ launcher::Error::Foreign(_)) => {
                tracing::error!(error = %error, "taking the next attempt's name");
                let text = format!("{error}; the conversion goes on under its next attempt's name");
                let note = Note { reason: "ForeignJob", text };
                self.launcher.note(&job_name(record.id, record.attempt), &note).await;
                Cause::Disruption("a foreign job has its name".to_owned())
            }
            // Back-pressure, not failure.
            Err(launcher::Error::Refused(why)) => Cause::NeverStarted(why),
        };
        self.change(record.id, &Change::Release { attempt: record.attempt, cause }).await.map(drop)
    }

    async fn announce(&self, id: ConversionId) -> Result<(), Error> {
        let Some(record) = self.record(id).await? else {
            return Ok(());
        };
        let message = VideoMessage {
            conversion: Some(id),
            video_fid: record.video.to_string(),
            username: Some(record.owner.to_string()),
        };
        self.queue.publish(&Message::Video(message)).await?;
        self.change(id, &Change::Announced).await.map(drop)
    }

    async fn publish(&self, id: ConversionId) -> Result<(), Error> {
        let Some(record) = self.record(id).await? else {
            return Ok(());
        };
        let Some(mp3) = &record.mp3 else {
            return Ok(());
        };
        let message = Mp3Message {
            event: record.event(),
            conversion: id,
            video_fid: record.video.to_string(),
            mp3_fid: mp3.id.to_string(),
            username: record.owner.to_string(),
            name: record.name.to_string(),
        };
        self.queue.publish(&Message::Mp3(message)).await?;
        self.change(id, &Change::Published).await?;
        tracing::info!(conversion.id = %id, mp3.id = %mp3.id, "finished");
        Ok(())
    }
}

/// The moment on the monotonic clock; a clock that jumps makes one look too early or too late.
fn instant(at: Timestamp) -> Instant {
    let wait = at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
    Instant::now() + wait.unsigned_abs()
}
