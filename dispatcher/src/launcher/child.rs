//! Attempts as child processes, for one machine.
//!
//! Each child holds the reading end of a pipe and ends when it closes: children never outlive the
//! dispatcher, however it ends. So after a start no child exists that is not listed here.

use super::{Error, Job, Phase, job_name};
use domain::{Cause, Conversion, Exit};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// How far children stand back behind this process.
const NICENESS: i32 = 10;

/// How the children are started.
#[derive(Clone, Debug)]
pub struct ChildConfig {
    /// The `converter-job` program.
    pub program: PathBuf,
    /// Where they find video and record.
    pub storage_url: String,
    /// Seconds that one may run.
    pub run_limit_seconds: u64,
}

/// The children that run, and those that ended and have not been dealt with.
pub struct Children {
    config: ChildConfig,
    known: Arc<Mutex<HashMap<String, Known>>>,
    changed: Arc<Notify>,
}

struct Known {
    job: Job,
    kill: CancellationToken,
}

type Table = HashMap<String, Known>;

fn lock(known: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // A panic elsewhere cannot leave the table half changed.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Children {
    /// No children yet.
    pub fn new(config: ChildConfig) -> Self {
        Self { config, known: Arc::default(), changed: Arc::default() }
    }

    pub(super) fn launch(&self, record: &Conversion) -> Result<(), Error> {
        let name = job_name(record.id, record.attempt);
        let mut known = lock(&self.known);
        if known.contains_key(&name) {
            return Ok(());
        }
        let child = spawn_behind(self.command(record)).map_err(|error| {
            Error::Unavailable(format!("cannot start {}: {error}", self.config.program.display()))
        })?;
        let job = Job {
            name: name.clone(),
            conversion: record.id,
            attempt: record.attempt,
            created_at: Timestamp::now(),
            phase: Phase::Running,
        };
        let kill = CancellationToken::new();
        known.insert(name.clone(), Known { job, kill: kill.clone() });
        tokio::spawn(watch(child, kill, name, self.known.clone(), self.changed.clone()));
        Ok(())
    }

    fn command(&self, record: &Conversion) -> Command {
        let mut command = Command::new(&self.config.program);
        command
            .arg("attempt")
            .env_clear()
            .env("STORAGE_URL", &self.config.storage_url)
            .env("CONVERSION_ID", record.id.to_string())
            .env("ATTEMPT", record.attempt.to_string())
            .env("RUN_LIMIT_SECONDS", self.config.run_limit_seconds.to_string())
            .env("EXIT_WITH_STDIN", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(super) fn jobs(&self) -> Vec<Job> {
        lock(&self.known).values().map(|known| known.job.clone()).collect()
    }

    pub(super) fn kill(&self, name: &str) {
        if let Some(known) = lock(&self.known).get(name) {
            known.kill.cancel();
        }
    }

    pub(super) fn forget(&self, ended: &[String]) {
        let mut known = lock(&self.known);
        for name in ended {
            if known.get(name).is_some_and(|known| !known.job.phase.is_alive()) {
                known.remove(name);
            }
        }
    }

    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }
}

/// Starts a child that stands back from its first instruction: a slow conversion is late, a slow
/// server is away. Niceness belongs to a thread and is inherited, so a thread of its own starts it.
fn spawn_behind(mut command: Command) -> io::Result<Child> {
    let runtime = Handle::current();
    let starter = thread::spawn(move || {
        let _ = rustix::process::nice(NICENESS);
        let _runtime = runtime.enter();
        command.spawn()
    });
    starter.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")))
}

/// Waits for one child, passing its log on, and notes how it ended.
async fn watch(
    mut child: Child,
    kill: CancellationToken,
    name: String,
    known: Arc<Mutex<Table>>,
    changed: Arc<Notify>,
) {
    // Held until the child has ended: closing it tells the child to end.
    let _stdin = child.stdin.take();
    let log = child
        .stderr
        .take()
        .map(|stderr| tokio::spawn(pass_on(BufReader::new(stderr), name.clone())));
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.cancelled() => {
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let last = match log {
        Some(log) => log.await.unwrap_or_default(),
        None => String::new(),
    };
    if let Some(known) = lock(&known).get_mut(&name) {
        known.job.phase = status.map_or_else(
            |error| Phase::Failed(Cause::Trouble(error.to_string())),
            |status| phase_of(status, &last),
        );
    }
    changed.notify_one();
}

/// Logs the child's lines and returns the last one.
async fn pass_on(stderr: BufReader<tokio::process::ChildStderr>, job: String) -> String {
    let (mut lines, mut last) = (stderr.lines(), String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(job.name = %job, "{line}");
        last = line;
    }
    last.chars().take(400).collect()
}

fn phase_of(status: ExitStatus, last: &str) -> Phase {
    match status.code().map(Exit::from_code) {
        Some(Exit::Done) => Phase::Complete,
        Some(Exit::OutOfMemory) => Phase::Failed(Cause::OutOfMemory(format!("{status}: {last}"))),
        _ => Phase::Failed(Cause::Trouble(format!("{status}: {last}"))),
    }
}
