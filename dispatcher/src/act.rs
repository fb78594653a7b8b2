//! Passes: read what is known, decide, carry it out; then wait until something happens.

mod clock;
mod deed;
mod probe;
mod turns;

use crate::{
    Config, Error, batch,
    config::{MOST_JOBS, Runner},
    decide::{Full, Known, Limits, Plan, Turns, decide},
    doorbell,
    ending::{self, Endings},
    launcher::{Children, Job, Kubernetes, Launcher, job_name},
    lesson::Lesson,
    sweep::sweep_for_ever,
};
use clock::Clock;
use domain::{Batch, BatchState, Conversion, ConversionId};
use jiff::{SignedDuration, Timestamp};
use probe::Pulse;
use queue::Queue;
use std::{collections::HashSet, sync::Arc, time::Duration};
use storage::{Storage, Work};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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
    launcher: Arc<Launcher>,
    wake: Arc<Notify>,
    endings: Endings,
    turns: Turns,
    full: Option<Full>,
    /// Those whose attempts were taken back, and who have not begun again.
    owed: HashSet<ConversionId>,
    lesson: Lesson,
    /// When the last pass began.
    pulse: Arc<Pulse>,
    /// When the store last failed to answer a look.
    answering_since: Timestamp,
    clock: Clock,
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
            per_user: config.max_jobs_per_user.min(config.max_jobs),
            pending: SignedDuration::from_secs(config.pending_limit_seconds.min(86_400) as i64),
        };
        let launcher = match config.runner {
            Runner::Kubernetes(jobs, lease) => {
                Launcher::Kubernetes(Box::new(Kubernetes::open(jobs, lease, token).await?))
            }
            Runner::Children(children) => Launcher::Children(Children::new(children)),
        };
        let wake = launcher.changed();
        let launcher = Arc::new(launcher);
        Ok(Self {
            limits,
            storage,
            queue,
            launcher,
            wake,
            endings: Endings::default(),
            turns: Turns::default(),
            full: None,
            owed: HashSet::new(),
            lesson: Lesson::default(),
            pulse: Arc::default(),
            answering_since: Timestamp::MIN,
            clock: Clock::now(),
        })
    }

    /// Acts whenever it is this one's turn, until the token is cancelled. Jobs go on without it; children
    /// end with the process.
    pub async fn run(mut self, token: CancellationToken) {
        let mut tenure = self.launcher.tenure();
        while !token.is_cancelled() {
            if !tenure.borrow().is_here() {
                tracing::info!("standing by until the Lease is free");
            }
            tokio::select! {
                () = token.cancelled() => break,
                Ok(_) = tenure.wait_for(|tenure| tenure.is_here()) => {}
            }
            self.act(&token).await;
            self.pulse.rest();
        }
        self.launcher.resign().await;
    }

    /// Passes until the token is cancelled, or another dispatcher acts.
    async fn act(&mut self, token: &CancellationToken) {
        let (mut tenure, term) = (self.launcher.tenure(), token.child_token());
        let _ends_with_this = term.clone().drop_guard();
        // What others did in the meantime is no news.
        (self.endings, self.turns) = (Endings::default(), Turns::default());
        (self.full, self.owed, self.lesson) = (None, HashSet::new(), Lesson::default());
        // Nobody knows whether the store answered before.
        self.answering_since = Timestamp::now();
        // Beside the passes: what is large takes long to delete.
        let sweeping = tokio::spawn(sweep_for_ever(self.storage.clone()));
        let _ends_with_this_too = AbortOnDropHandle::new(sweeping);
        let (mut healthy, mut listening) = (true, false);
        loop {
            self.pulse.beat();
            let round = Instant::now() + ROUND;
            let passed = match self.listen(&mut listening, &term).await {
                Ok(()) => self.pass().await,
                Err(error) => Err(error),
            };
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
                Ok(_) = tenure.wait_for(|tenure| !tenure.is_here()) => return,
                () = self.wake.notified(), if healthy => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    /// Only who acts takes messages: one that another one took would ring in vain.
    async fn listen(&self, listening: &mut bool, token: &CancellationToken) -> Result<(), Error> {
        if !*listening {
            doorbell::listen(&self.queue, &self.storage, &self.wake, token).await?;
            *listening = true;
        }
        Ok(())
    }

    async fn pass(&mut self) -> Result<Option<Timestamp>, Error> {
        // Before anything is created: how large it has to be follows from what others took.
        let looked = match self.lesson.take_over(&self.storage).await {
            Ok(_) => self.look().await,
            Err(error) => Err(error.into()),
        };
        if looked.is_err() {
            self.answering_since = Timestamp::now();
        }
        let (known, batches) = looked?;
        let Plan { actions, wake_at } = decide(&known);
        let done = self.carry_out_all(&actions).await;
        self.take_turns(&known, &actions, &done);
        self.owe(&actions);
        if done.iter().any(|done| matches!(done, Err(Error::Storage(_)))) {
            // It may be read, but not written: nobody could show life.
            self.answering_since = Timestamp::now();
        }
        let carried_out: Result<Vec<_>, Error> = done.into_iter().collect();
        self.tell_endings(&known.jobs).await?;
        if let Err(error) = self.lesson.tell(&self.storage, self.limits).await {
            tracing::warn!(%error, "what forecasts rest on could not be told; nothing else needs it");
        }
        if batch::tend(&self.storage, &batches).await? {
            self.wake.notify_one();
        }
        carried_out?;
        let free = known.free_slots() > 0;
        let ended: Vec<_> = known
            .jobs
            .into_iter()
            .filter(|job| !job.phase.is_alive())
            .map(|job| job.name)
            .collect();
        self.launcher.forget(&ended);
        let next_due = if free { self.storage.next_due(known.now).await? } else { None };
        Ok(wake_at.into_iter().chain(next_due).min())
    }

    /// Reads jobs first and records after them; see [`decide`].
    async fn look(&mut self) -> Result<(Known, Vec<Batch>), Error> {
        let jobs = self.launcher.jobs();
        let now = Timestamp::now();
        if self.clock.slept(now) {
            // Nobody could show life while the machine was asleep.
            self.answering_since = now;
        }
        let work = |work, limit| self.storage.work(work, limit);
        let (dispatching, batches) =
            tokio::try_join!(self.storage.dispatching(), self.storage.batches(true))?;
        let paused_batches: HashSet<_> = batches
            .iter()
            .filter(|batch| batch.state == BatchState::Paused)
            .map(|batch| batch.id.clone())
            .collect();
        let (running, unannounced, unpublished) = tokio::try_join!(
            work(Work::Running, MOST_JOBS as u32),
            work(Work::Unannounced, OUTBOX),
            work(Work::Unpublished, OUTBOX),
        )?;
        let others = self.others(&jobs, &running).await?;
        let mut known = Known {
            now,
            answering_since: self.answering_since,
            paused: dispatching.paused,
            paused_batches,
            limits: self.limits,
            absent_is_dead: self.launcher.absent_is_dead(),
            jobs,
            due: Vec::new(),
            turns: self.turns.clone(),
            full: self.full,
            running,
            others,
            unannounced,
            unpublished,
        };
        known.due = self.due(&known).await?;
        Ok((known, batches))
    }

    async fn others(&self, jobs: &[Job], running: &[Conversion]) -> Result<Vec<Conversion>, Error> {
        let known: HashSet<ConversionId> = running.iter().map(|record| record.id).collect();
        let alive = jobs.iter().filter(|job| job.phase.is_alive());
        let ids: Vec<_> =
            alive.map(|job| job.conversion).filter(|id| !known.contains(id)).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.storage.conversions_of_ids(&ids).await?)
    }

    /// Says of each job that has ended since the last pass why its conversion failed, if it did.
    async fn tell_endings(&mut self, jobs: &[Job]) -> Result<(), Error> {
        let fresh = self.endings.fresh(jobs);
        if !fresh.is_empty() {
            let ids: Vec<_> = fresh.iter().map(|job| job.conversion).collect();
            for record in self.storage.conversions_of_ids(&ids).await? {
                if !self.endings.are_new() {
                    ending::count(&record);
                    let job = fresh.iter().find(|job| job.conversion == record.id);
                    self.lesson.learn(&record, job.map(|job| job.created_at));
                }
                if let Some(note) = ending::failed(&record) {
                    self.launcher.note(&job_name(record.id, record.attempt), &note).await;
                }
            }
        }
        self.endings.looked_at(jobs);
        Ok(())
    }
}

/// The moment on the monotonic clock; a clock that jumps makes one look too early or too late.
fn instant(at: Timestamp) -> Instant {
    let wait = at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
    Instant::now() + wait.unsigned_abs()
}
