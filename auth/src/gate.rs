//! Lets only so many passwords be hashed at once. Each takes 46 MiB and one core, so without a gate
//! a flood of logins would end the process; with it the flood gets `busy`, and memory stays flat.
//! There are two lines: who has logged in from their address before has at most one hash per core
//! in front of them that is of the other line, so a flood does not keep them out.

use crate::Error;
use std::{fs, sync::Arc, thread};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// How many may wait in each line. At about 40 ms a hash and one core the last waits 1.3 s.
const WAITING: usize = 32;
/// What one hash takes, in bytes, and a little more.
const HASH: u64 = 48 << 20;

/// The gate of the whole process.
pub(crate) struct Gate {
    known: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// Of the others no more than this stand in line for a core.
    turns: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

/// The right to wait for a core.
pub(crate) struct Seat {
    seat: OwnedSemaphorePermit,
    turns: Option<Arc<Semaphore>>,
    cores: Arc<Semaphore>,
}

/// A core, until it is dropped.
pub(crate) struct Core {
    /// Whether it was not free at once.
    pub(crate) waited: bool,
    _held: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>, OwnedSemaphorePermit),
}

impl Gate {
    /// A gate as wide as this machine's cores, or as half of the memory that we may use.
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with(width(cores, memory_limit()), WAITING)
    }

    fn with(cores: usize, waiting: usize) -> Self {
        Self {
            known: Arc::new(Semaphore::new(cores + waiting)),
            others: Arc::new(Semaphore::new(cores + waiting)),
            turns: Arc::new(Semaphore::new(cores)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// A seat in one of the lines, or [`Error::Busy`] at once.
    pub(crate) fn enter(&self, known: bool) -> Result<Seat, Error> {
        let line = if known { &self.known } else { &self.others };
        let seat = Arc::clone(line).try_acquire_owned().map_err(|_| Error::Busy)?;
        let turns = (!known).then(|| Arc::clone(&self.turns));
        Ok(Seat { seat, turns, cores: Arc::clone(&self.cores) })
    }
}

/// The memory that this process's cgroup may use, in bytes. A container sees its own group as the
/// root; elsewhere `/proc/self/cgroup` names it, as `0::PATH` (version 2) or `N:memory:PATH` (1).
fn memory_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let named = own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let folder = if controllers.is_empty() { "" } else { "/memory" };
        (folder.is_empty() || controllers == "memory").then(|| format!("{folder}{path}"))
    });
    let groups = named.chain([String::new(), "/memory".to_owned()]);
    let files = groups.flat_map(|group| {
        ["memory.max", "memory.limit_in_bytes"].map(|file| format!("/sys/fs/cgroup{group}/{file}"))
    });
    let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.min()
}

/// How many hashes at once. `limit` is the memory of this process in bytes, if it is limited.
fn width(cores: usize, limit: Option<u64>) -> usize {
    let room = limit.map(|bytes| usize::try_from(bytes / 2 / HASH).unwrap_or(usize::MAX));
    room.map_or(cores, |room| room.clamp(1, cores))
}

impl Seat {
    /// A core, as soon as one is free.
    pub(crate) async fn core(self) -> Result<Core, Error> {
        let mut waited = false;
        let turn = match self.turns {
            Some(turns) => Some(permit(turns, &mut waited).await?),
            None => None,
        };
        let core = permit(self.cores, &mut waited).await?;
        Ok(Core { waited, _held: (self.seat, turn, core) })
    }
}

async fn permit(from: Arc<Semaphore>, waited: &mut bool) -> Result<OwnedSemaphorePermit, Error> {
    if let Ok(permit) = Arc::clone(&from).try_acquire_owned() {
        return Ok(permit);
    }
    *waited = true;
    from.acquire_owned().await.map_err(|_| Error::Busy)
}

impl Core {
    /// Does `work` on a thread of its own, and gives the core back with its result.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Self), Error> {
        // The thread holds the core until its end: who is cancelled cannot make room for more.
        let done = spawn_blocking(move || (work(), self));
        done.await.map_err(|cause| Error::Internal(format!("a hash was not finished: {cause}")))
    }
}

#[cfg(test)]
impl Gate {
    /// Keeps every hash waiting until what it returns is dropped.
    pub(crate) async fn hold(&self) -> OwnedSemaphorePermit {
        let cores = u32::try_from(self.cores.available_permits()).unwrap();
        let all = Arc::clone(&self.cores).acquire_many_owned(cores);
        all.await.unwrap()
    }

    /// Returns when somebody has a seat.
    pub(crate) async fn taken(&self) {
        let free = self.others.available_permits();
        while self.others.available_permits() == free {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    async fn run<T: Send + 'static>(seat: Seat, work: impl FnOnce() -> T + Send + 'static) -> T {
        seat.core().await.unwrap().run(work).await.unwrap().0
    }

    #[test]
    fn memory_makes_the_gate_narrower() {
        assert_eq!(width(4, None), 4);
        assert_eq!(width(4, Some(u64::MAX)), 4);
        assert_eq!(width(4, Some(256 << 20)), 2);
        assert_eq!(width(4, Some(64 << 20)), 1);
    }

    #[tokio::test]
    async fn beyond_cores_and_queue_is_busy() {
        let gate = Gate::with(1, 1);
        let (go, wait) = mpsc::channel();
        let running = tokio::spawn(run(gate.enter(false).unwrap(), move || wait.recv()));
        let waiting = tokio::spawn(run(gate.enter(false).unwrap(), || 7));
        assert!(matches!(gate.enter(false), Err(Error::Busy)));
        assert!(gate.enter(true).is_ok(), "the other line has places of its own");
        go.send(()).unwrap();
        running.await.unwrap().unwrap();
        assert_eq!(waiting.await.unwrap(), 7);
        assert!(gate.enter(false).is_ok());
    }

    #[tokio::test]
    async fn who_is_known_comes_before_a_flood() {
        let gate = Gate::with(1, 8);
        let held = gate.hold().await;
        let (order, done) = mpsc::channel();
        let mut waiting = Vec::new();
        for who in ["flood", "flood", "flood", "known"] {
            let (seat, order) = (gate.enter(who == "known").unwrap(), order.clone());
            waiting.push(tokio::spawn(run(seat, move || order.send(who).unwrap())));
            // One after the other, each to where it waits.
            tokio::task::yield_now().await;
        }
        drop((held, order));
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(done.iter().collect::<Vec<_>>(), ["flood", "known", "flood", "flood"]);
    }

    #[tokio::test]
    async fn one_who_is_cancelled_keeps_the_core_until_the_hash_is_done() {
        let gate = Gate::with(1, 0);
        let ((started, begun), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let (ended, end) = oneshot::channel();
        let work = move || {
            started.send(()).unwrap();
            let _ = wait.recv();
            ended.send(()).unwrap();
        };
        let caller = tokio::spawn(run(gate.enter(false).unwrap(), work));
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert!(matches!(gate.enter(false), Err(Error::Busy)));
        drop(go);
        end.await.unwrap();
        // The thread gives its seat back right after its work.
        let _seat = gate.others.acquire().await.unwrap();
    }
}
