//! The system under test: all of it, as its users run it.

pub(crate) mod cluster;
pub(crate) mod embedded;
pub(crate) mod links;
mod rights;
pub(crate) mod service;
pub(crate) mod site;
pub(crate) mod watch;

use crate::{Result, client::Client, process::output_of, process::program};
use cluster::Cluster;
use embedded::Embedded;
use queue::Mp3Message;
use std::{collections::HashSet, path::Path, process::Command, time::Duration};

/// Which back ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// One process, files and SQLite.
    Embedded,
    /// RabbitMQ, MongoDB, MariaDB, Kubernetes.
    Cluster,
}

impl Which {
    /// For the test's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        }
    }
}

/// What a scenario wants to be different.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Jobs alive at once (on a cluster).
    pub(crate) max_jobs: usize,
    /// Seconds that a finished Job stays.
    pub(crate) job_ttl_seconds: u32,
    /// Longest video.
    pub(crate) max_upload_bytes: u64,
    /// Seconds that a Job may take to start.
    pub(crate) pending_limit_seconds: u32,
    /// Memory of one Job.
    pub(crate) memory_mib: u32,
    /// Another image than the converter's.
    pub(crate) image: Option<&'static str>,
    /// Whether a second dispatcher stands by (on a cluster).
    pub(crate) standby: bool,
    /// Whether there is a proxy before each part (on a cluster).
    pub(crate) proxied: bool,
    /// Whether parts of the cluster itself are stopped: then it is the breakable one.
    pub(crate) breakable: bool,
}

impl Settings {
    /// The image of the Jobs.
    fn image(&self, site: &site::Site) -> String {
        self.image.map_or_else(|| site.image.clone(), str::to_owned)
    }
}

/// A running system with one data store of its own.
pub(crate) enum Stack {
    /// See [`Which`].
    Embedded(Box<Embedded>),
    /// See [`Which`].
    Cluster(Box<Cluster>),
}

macro_rules! on {
    ($self:expr, $stack:ident => $call:expr) => {
        match $self {
            Stack::Embedded($stack) => $call,
            Stack::Cluster($stack) => $call,
        }
    };
}

impl Stack {
    /// Starts everything and waits until it answers.
    pub(crate) async fn start(which: Which, settings: &Settings) -> Result<Self> {
        Ok(match which {
            Which::Embedded => Self::Embedded(Box::new(Embedded::start(settings).await?)),
            Which::Cluster => Self::Cluster(Box::new(Cluster::start(settings).await?)),
        })
    }

    /// The cluster, in a scenario that is told to no other stack.
    pub(crate) fn cluster(&self) -> Result<&Cluster> {
        match self {
            Self::Cluster(cluster) => Ok(cluster),
            Self::Embedded(_) => anyhow::bail!("a story of the cluster"),
        }
    }

    /// The same, to be changed.
    pub(crate) fn cluster_mut(&mut self) -> Result<&mut Cluster> {
        match self {
            Self::Cluster(cluster) => Ok(cluster),
            Self::Embedded(_) => anyhow::bail!("a story of the cluster"),
        }
    }

    /// Where the gateway is.
    pub(crate) fn url(&self) -> &str {
        on!(self, stack => &stack.url)
    }

    /// A folder for the test's own files.
    pub(crate) fn folder(&self) -> &Path {
        on!(self, stack => stack.folder.path())
    }

    /// Adds a user and signs them in.
    pub(crate) async fn user(&self, name: &str) -> Result<Client> {
        self.account(name, "user").await
    }

    /// Adds an administrator and signs them in.
    pub(crate) async fn admin(&self, name: &str) -> Result<Client> {
        self.account(name, "admin").await
    }

    async fn account(&self, name: &str, role: &str) -> Result<Client> {
        let password = format!("{name}'s long password");
        let mut command = Command::new(program("auth"));
        command.args(["user", "add", name, "--role", role]).env("AUTH_PASSWORD", &password);
        command.env("AUTH_DATABASE_URL", on!(self, stack => stack.accounts_url()));
        output_of(&mut command, None)?;
        Client::sign_in(self.url(), name, &password).await
    }

    /// kill -9 of whatever dispatches, and a new one in its place.
    pub(crate) async fn kill_dispatcher(&mut self) -> Result {
        on!(self, stack => stack.kill_dispatcher().await)
    }

    /// The address of the messages. On one machine only one process may have it open.
    pub(crate) fn queue_url(&self) -> String {
        on!(self, stack => stack.queue_url())
    }

    /// How many MP3 files are stored, whole or not, counted without the system's own code.
    pub(crate) async fn stored_mp3s(&self) -> Result<usize> {
        on!(self, stack => stack.stored_mp3s().await)
    }

    /// Every `mp3` event that the system published, once there are `count` of them. On one machine
    /// the system is stopped for it.
    pub(crate) async fn events(&mut self, count: usize) -> Result<Vec<Mp3Message>> {
        on!(self, stack => stack.events(count).await)
    }

    /// Prints logs and the state of Jobs and pods.
    pub(crate) fn tell(&self) {
        on!(self, stack => stack.tell());
    }

    /// Ends everything and removes what is left.
    pub(crate) async fn end(self) {
        on!(self, stack => stack.end().await);
    }
}

/// Takes events from the queue, acking each, until none has come for `patience`.
async fn take_events(queue: &queue::Queue, patience: Duration) -> Result<Vec<Mp3Message>> {
    use queue::{Item, Message, Topic};
    let mut consumer = queue.consume(Topic::Mp3).await?;
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(patience, consumer.next()).await {
            Ok(Item::Reconnected) => {}
            Ok(Item::Delivery(delivery)) => {
                if let Ok(Message::Mp3(event)) = delivery.message() {
                    events.push(event.clone());
                }
                delivery.ack().await?;
            }
            Err(_) => return Ok(events),
        }
    }
}

/// How many ids the events have; the same one may come twice.
fn distinct(events: &[Mp3Message]) -> usize {
    events.iter().map(|event| event.event).collect::<HashSet<_>>().len()
}

/// A port of this machine that nobody has.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
