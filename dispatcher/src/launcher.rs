//! Running one conversion: a Kubernetes Job on a cluster, a child process on one machine.

mod child;
mod kubernetes;
mod tenure;

pub use child::{ChildConfig, Children};
pub use kubernetes::{Bounds, JobConfig, JobTemplate, Kubernetes, LeaseConfig, examine};
pub use tenure::Tenure;

use domain::{Cause, Conversion, ConversionId};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// What runs attempts.
pub enum Launcher {
    /// One Job per attempt.
    Kubernetes(Box<Kubernetes>),
    /// One child per attempt.
    Children(Children),
}

/// A job as the dispatcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// `convert-CONVERSION-ATTEMPT`.
    pub name: String,
    /// Whose.
    pub conversion: ConversionId,
    /// Which attempt.
    pub attempt: u32,
    /// When it was created, or begun where it was held back: later than its dispatch where the cluster was
    /// away or had no room.
    pub created_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Held back until Kueue admits it.
    Suspended,
    /// Not started, with the reason where one is known.
    Waiting(Option<String>),
    /// Taken off its node before it started, though the node may not have heard of it.
    Evicted(Cause),
    /// At work.
    Running,
    /// Ended with exit code 0.
    Complete,
    /// Ended otherwise.
    Failed(Cause),
}

impl Phase {
    /// Whether a process may exist or come to exist.
    pub const fn is_alive(&self) -> bool {
        matches!(self, Self::Suspended | Self::Waiting(_) | Self::Evicted(_) | Self::Running)
    }
}

/// Something that operators should know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// One word, as Kubernetes writes them: `AttemptFailed`.
    pub reason: &'static str,
    /// One sentence.
    pub text: String,
}

/// Why a launcher did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that is not ours has the job's name.
    #[error("a foreign job has the name {0}")]
    Foreign(String),
    /// A quota is full, for every Job: worth waiting for.
    #[error("no room: {0}")]
    Full(String),
    /// Something refused this one: worth waiting for.
    #[error("refused for now: {0}")]
    Refused(String),
    /// Nothing says where the cluster is.
    #[error("no cluster is known: {0}; run in a pod with an account, or name a file in KUBECONFIG")]
    NoCluster(String),
    /// The API server would take no Job of ours.
    #[error(
        "the API server refuses Jobs as ours: {0}; change what forbids them, or the settings \
         CONVERTER_.. and DISPATCHER_.."
    )]
    Unfit(String),
    /// Another dispatcher may have begun: two at once would pass the limit.
    #[error("the Lease has not been renewed in time")]
    NoTerm,
    /// The cluster or the machine did not do it, or did it and did not answer.
    #[error("cannot run jobs now: {0}")]
    Unavailable(String),
}

/// The name of an attempt's job. It follows from the record, so creating it twice is seen.
pub fn job_name(conversion: ConversionId, attempt: u32) -> String {
    format!("convert-{conversion}-{attempt}")
}

impl Launcher {
    /// Creates the job of the record's attempt, which is expected to take so many seconds, or adopts it
    /// where it exists.
    pub async fn launch(&self, record: &Conversion, expected: Option<f64>) -> Result<(), Error> {
        match self {
            Self::Kubernetes(cluster) => cluster.launch(record, expected).await,
            Self::Children(children) => children.launch(record),
        }
    }

    /// Every job of ours, as last seen.
    pub fn jobs(&self) -> Vec<Job> {
        match self {
            Self::Kubernetes(cluster) => cluster.jobs(),
            Self::Children(children) => children.jobs(),
        }
    }

    /// Deletes a job; one that is gone is deleted already.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Kubernetes(cluster) => cluster.delete(name).await,
            Self::Children(children) => {
                children.kill(name);
                Ok(())
            }
        }
    }

    /// Drops ended jobs that have been dealt with. A cluster does so by itself, after their TTL.
    pub fn forget(&self, ended: &[String]) {
        if let Self::Children(children) = self {
            children.forget(ended);
        }
    }

    /// Says it on the job, where the launcher has a place for that. Nothing depends on it.
    pub async fn note(&self, job: &str, note: &Note) {
        if let Self::Kubernetes(cluster) = self {
            cluster.note(job, note).await;
        }
    }

    /// Whether a job that is not listed cannot be running.
    pub const fn absent_is_dead(&self) -> bool {
        matches!(self, Self::Children(_))
    }

    /// Whether this dispatcher is the one that acts. The only one of this machine always is.
    pub fn tenure(&self) -> watch::Receiver<Tenure> {
        match self {
            Self::Kubernetes(cluster) => cluster.tenure(),
            Self::Children(_) => tenure::for_good(),
        }
    }

    /// Why it cannot be known or said that this one acts, if so.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Kubernetes(cluster) => cluster.trouble(),
            Self::Children(_) => None,
        }
    }

    /// Lets another one act.
    pub async fn resign(&self) {
        if let Self::Kubernetes(cluster) = self {
            cluster.resign().await;
        }
    }

    /// Rung whenever a job has changed.
    pub fn changed(&self) -> Arc<Notify> {
        match self {
            Self::Kubernetes(cluster) => cluster.changed(),
            Self::Children(children) => children.changed(),
        }
    }
}
