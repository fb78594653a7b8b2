//! The dispatcher's settings.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `STORAGE_URL`, `QUEUE_URL` | `mongodb://` with `amqp://`, or `file:` twice; either may stand in a file that `.._FILE` names | |
//! | `DISPATCHER_MAX_JOBS` | jobs alive at once, at most 10000 | 10; the cores on one machine |
//! | `DISPATCHER_MAX_JOBS_PER_USER` | of those, the jobs of one user | as many |
//! | `DISPATCHER_NAMESPACE` | where Jobs are made | `default` |
//! | `DISPATCHER_LEASE_NAMESPACE` | where the Lease `dispatcher-lease` is, by which several agree on the one that acts | its own |
//! | `DISPATCHER_NAME` | who holds the Lease; no two may have one name | the host's, in a pod the pod's |
//! | `DISPATCHER_JOB_TTL_SECONDS` | how long a finished Job stays | 600 |
//! | `DISPATCHER_PENDING_LIMIT_SECONDS` | how long a job may take to start | 300 |
//! | `DISPATCHER_JOB_TEMPLATE` | file with a pod template that is merged into each Job's | none |
//! | `CONVERTER_IMAGE` | image of `converter-job` | |
//! | `CONVERTER_STORAGE_URL` | storage as the Jobs see it | `STORAGE_URL` |
//! | `CONVERTER_STORAGE_SECRET` | a Secret with the key `STORAGE_URL`, instead | |
//! | `CONVERTER_CPU_MILLIS`, `CONVERTER_CPU_MAX_MILLIS` | CPU limit of a Job: of short work, and of long work that several threads can do | 1000, as much |
//! | `CONVERTER_MEMORY_MIB`, `CONVERTER_MEMORY_MAX_MIB` | memory limit of a Job, and the most after one that ran out of it | 512, twice as much |
//! | `CONVERTER_DISK_MIB` | of the node's disk, for a Job's log | 64 |
//! | `CONVERTER_RUN_LIMIT_SECONDS` | how long an attempt may run; a first one is ended sooner where it takes twenty times as long as others did, and half an hour at least | 3600 |
//! | `DISPATCHER_KUEUE_QUEUE` | the local queue in which Kueue admits Jobs, which are made suspended | none: they begin at once |
//! | `CONVERTER_JOB` | the program, on one machine | beside this one |
//! | `ADMIN_LISTEN` | where health and metrics are served | nowhere |
//! | `LOG`, `LOG_FORMAT` | log filter; `text` or `json` | `info`, `text` |

use crate::launcher::{Bounds, ChildConfig, JobConfig, JobTemplate, LeaseConfig};
use process::{LogFormat, config::Faults, config::Settings};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

/// As many running conversions are read in one pass.
pub(crate) const MOST_JOBS: usize = 10_000;
const RUN_LIMIT_SECONDS: u64 = 3600;
const PENDING_LIMIT_SECONDS: u64 = 300;

/// Everything the dispatcher is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Records and files.
    pub storage_url: SecretString,
    /// Messages.
    pub queue_url: SecretString,
    /// Jobs alive at once.
    pub max_jobs: usize,
    /// Of them, those of one user.
    pub max_jobs_per_user: usize,
    /// Seconds that a job may take to start.
    pub pending_limit_seconds: u64,
    /// Where attempts run.
    pub runner: Runner,
    /// Where health and metrics are served, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
}

/// Where attempts run.
#[derive(Clone, Debug)]
pub enum Runner {
    /// As Kubernetes Jobs, and which of several dispatchers makes them.
    Kubernetes(JobConfig, LeaseConfig),
    /// As children of this process.
    Children(ChildConfig),
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn from_env() -> Result<Self, Faults> {
        Self::from_settings(Settings::from_env())
    }

    fn from_settings(mut settings: Settings) -> Result<Self, Faults> {
        let storage_url = settings.required_secret("STORAGE_URL", "mongodb://... or file:FOLDER");
        let queue_url = settings.required_secret("QUEUE_URL", "amqp://... or file:FOLDER");
        let admin_listen = settings.optional("ADMIN_LISTEN");
        let log = settings.or("LOG", "info".to_owned());
        let log_format = settings.or("LOG_FORMAT", LogFormat::Text);
        let pending_limit_seconds =
            settings.or("DISPATCHER_PENDING_LIMIT_SECONDS", PENDING_LIMIT_SECONDS);
        let max_jobs = jobs(&mut settings, "DISPATCHER_MAX_JOBS");
        let per_user = jobs(&mut settings, "DISPATCHER_MAX_JOBS_PER_USER");
        let config = storage_url.zip(queue_url).and_then(|(storage_url, queue_url)| {
            let (storage, queue) = (storage_url.expose_secret(), queue_url.expose_secret());
            let runner = runner(&mut settings, storage, queue, pending_limit_seconds)?;
            let default_jobs = match runner {
                Runner::Kubernetes(..) => 10,
                Runner::Children(_) => cores(),
            };
            let max_jobs = max_jobs.unwrap_or(default_jobs);
            Some(Self {
                storage_url,
                queue_url,
                max_jobs,
                max_jobs_per_user: per_user.unwrap_or(max_jobs),
                pending_limit_seconds,
                runner,
                admin_listen,
                log,
                log_format,
            })
        });
        settings.finish(config)
    }

    /// What the settings say, for one machine.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn embedded(settings: Settings, folder: &str, program: &Path) -> Result<Self, Faults> {
        let url = format!("file:{folder}");
        let settings = settings.with("STORAGE_URL", url.clone()).with("QUEUE_URL", url);
        Self::from_settings(settings.with("CONVERTER_JOB", program.display().to_string()))
    }
}

/// A number of jobs alive at once.
fn jobs(settings: &mut Settings, name: &'static str) -> Option<usize> {
    let jobs = settings.optional::<usize>(name)?;
    if !(1..=MOST_JOBS).contains(&jobs) {
        settings.fault(format!("{name} is {jobs}; it must be from 1 to {MOST_JOBS}"));
    }
    Some(jobs)
}

/// Exactly two sets of back ends are tested; any other mix is refused.
fn runner(
    settings: &mut Settings,
    storage: &str,
    queue: &str,
    pending_limit_seconds: u64,
) -> Option<Runner> {
    let run_limit_seconds = settings.or("CONVERTER_RUN_LIMIT_SECONDS", RUN_LIMIT_SECONDS);
    match (storage.starts_with("mongodb"), queue.starts_with("amqp")) {
        (true, true) => {
            let lease = LeaseConfig {
                namespace: settings.optional("DISPATCHER_LEASE_NAMESPACE"),
                holder: settings.or("DISPATCHER_NAME", host()),
            };
            let jobs = JobConfig {
                namespace: settings.or("DISPATCHER_NAMESPACE", "default".to_owned()),
                image: settings.required("CONVERTER_IMAGE", "the image of converter-job")?,
                template: template(settings)?,
                storage_url: settings.or("CONVERTER_STORAGE_URL", storage.to_owned()),
                storage_secret: settings.optional("CONVERTER_STORAGE_SECRET"),
                bounds: bounds(settings, run_limit_seconds),
                kueue_queue: settings.optional("DISPATCHER_KUEUE_QUEUE"),
                pending_limit_seconds,
                ttl_seconds: settings.or("DISPATCHER_JOB_TTL_SECONDS", 600),
            };
            Some(Runner::Kubernetes(jobs, lease))
        }
        (false, false) => Some(Runner::Children(ChildConfig {
            program: settings.or("CONVERTER_JOB", beside_this("converter-job")),
            storage_url: storage.to_owned(),
            run_limit_seconds,
        })),
        _ => {
            settings.fault(
                "STORAGE_URL and QUEUE_URL do not fit: use mongodb:// with amqp://, or file: for both",
            );
            None
        }
    }
}

fn bounds(settings: &mut Settings, run_limit_seconds: u64) -> Bounds {
    let (cpu, memory) =
        (settings.or("CONVERTER_CPU_MILLIS", 1000), settings.or("CONVERTER_MEMORY_MIB", 512));
    Bounds {
        cpu_millis: (cpu, settings.or("CONVERTER_CPU_MAX_MILLIS", cpu)),
        memory_mib: (memory, settings.or("CONVERTER_MEMORY_MAX_MIB", memory.saturating_mul(2))),
        disk_mib: settings.or("CONVERTER_DISK_MIB", 64),
        run_limit_seconds,
    }
}

fn template(settings: &mut Settings) -> Option<JobTemplate> {
    let Some(path) = settings.optional::<PathBuf>("DISPATCHER_JOB_TEMPLATE") else {
        return Some(JobTemplate::default());
    };
    let read = JobTemplate::read(&path);
    read.map_err(|error| settings.fault(format!("DISPATCHER_JOB_TEMPLATE: {error}"))).ok()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// A program in the folder of the running one.
fn beside_this(program: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    this.with_file_name(program)
}
