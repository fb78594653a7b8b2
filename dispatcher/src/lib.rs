//! From a queued conversion to its job to the finished event.
//!
//! A message only rings the doorbell; what is to be done is read from the records and the jobs.
//! [`decide`] says what, [`Dispatcher`] does it. What must hold: a record is changed before the
//! world is (`running` before the job exists), so that a crash in between is put right by the next
//! pass.

mod act;
mod adopt;
mod batch;
pub mod config;
pub mod decide;
mod doorbell;
mod ending;
pub mod launcher;
mod lesson;
#[cfg(test)]
mod samples;
mod sweep;

pub use act::Dispatcher;
pub use config::Config;

/// Why the dispatcher cannot start, or why an action failed that the next pass tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Storage.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Messages.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The cluster.
    #[error(transparent)]
    Launcher(#[from] launcher::Error),
}

impl Error {
    /// Whether waiting may mend it.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Storage(error) => error.may_pass(),
            Self::Queue(error) => matches!(error, queue::Error::Unavailable(_)),
            Self::Launcher(error) => matches!(error, launcher::Error::Unavailable(_)),
        }
    }
}
