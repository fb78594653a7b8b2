//! Lets only so many passwords be hashed at once. Each takes 46 MiB and one core, so without a gate
//! a flood of logins would end the process; with it the flood gets `busy`, and memory stays flat.

use crate::Error;
use std::{sync::Arc, thread};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// How many may wait. At about 40 ms a hash and one core the last of them waits 1.3 s.
const WAITING: usize = 32;

/// The gate of the whole process.
pub(crate) struct Gate {
    seats: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

/// The right to wait for a core, and to use it once.
pub(crate) struct Seat {
    seat: OwnedSemaphorePermit,
    cores: Arc<Semaphore>,
}

impl Gate {
    /// A gate as wide as this machine's cores.
    pub(crate) fn new() -> Self {
        Self::with(thread::available_parallelism().map_or(1, usize::from), WAITING)
    }

    fn with(cores: usize, waiting: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(cores + waiting)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// A seat, or [`Error::Busy`] at once.
    pub(crate) fn enter(&self) -> Result<Seat, Error> {
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        Ok(Seat { seat, cores: self.cores.clone() })
    }
}

impl Seat {
    /// Does `work` on a thread of its own as soon as a core is free.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let core = self.cores.acquire_owned().await.map_err(|_| Error::Busy)?;
        // The thread holds both until its end: a client that hangs up cannot make room for more.
        let held = (self.seat, core);
        let done = spawn_blocking(move || {
            let result = work();
            drop(held);
            result
        });
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
        let free = self.seats.available_permits();
        while self.seats.available_permits() == free {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn beyond_cores_and_queue_is_busy() {
        let gate = Gate::with(1, 1);
        let (go, wait) = mpsc::channel();
        let running = tokio::spawn(gate.enter().unwrap().run(move || wait.recv()));
        let waiting = tokio::spawn(gate.enter().unwrap().run(|| 7));
        assert!(matches!(gate.enter(), Err(Error::Busy)));
        go.send(()).unwrap();
        running.await.unwrap().unwrap().unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
        assert!(gate.enter().is_ok());
    }

    #[tokio::test]
    async fn one_who_hangs_up_keeps_the_core_until_the_hash_is_done() {
        let gate = Gate::with(1, 0);
        let ((started, begun), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let (ended, end) = tokio::sync::oneshot::channel();
        let run = gate.enter().unwrap().run(move || {
            started.send(()).unwrap();
            let _ = wait.recv();
            ended.send(()).unwrap();
        });
        let caller = tokio::spawn(run);
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert!(matches!(gate.enter(), Err(Error::Busy)));
        drop(go);
        end.await.unwrap();
        // The thread gives its seat back right after its work.
        let _seat = gate.seats.acquire().await.unwrap();
    }
}
