//! Attempts as Kubernetes Jobs. The only place that speaks to the API server.
//!
//! Jobs and their pods are watched, never polled; a watch that breaks is listed anew and until then
//! keeps what it knew, so a failed list is never read as "nothing runs".

mod backoff;
mod event;
mod examine;
mod job;
mod lease;
mod needs;
mod nodes;
mod phase;
mod template;
mod trial;

pub use examine::examine;
pub use job::JobConfig;
pub use needs::Bounds;
pub use template::JobTemplate;

use super::{Error, Job, Note, Tenure};
use backoff::Growing;
use domain::Conversion;
use futures::StreamExt;
use jiff::Timestamp;
use job::{Outlook, SELECTOR, SPEC_HASH, identity};
use k8s_openapi::api::{
    batch::v1::Job as KubeJob,
    core::v1::{Event, Pod, PodSpec},
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// For one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a Job as ours is judged anew before its refusal is believed, over 6 s.
const TRIALS: usize = 5;

/// The Lease by which several dispatchers agree on the one that acts.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Where it is; none means the namespace that the client works in: a pod's own.
    pub namespace: Option<String>,
    /// Who holds it: a name that no other dispatcher has.
    pub holder: String,
}

/// Our Jobs in one namespace.
pub struct Kubernetes {
    config: JobConfig,
    api: Api<KubeJob>,
    events: Api<Event>,
    jobs: Store<KubeJob>,
    pods: Store<Pod>,
    changed: Arc<Notify>,
    tenure: watch::Receiver<Tenure>,
    trouble: watch::Receiver<Option<String>>,
    lease: Mutex<Option<lease::Holder>>,
}

impl Kubernetes {
    /// Connects (in a pod, or by KUBECONFIG), asks whether Jobs as ours may be created, and waits until
    /// Jobs and pods have been listed once.
    pub async fn open(
        config: JobConfig,
        lease: LeaseConfig,
        token: &CancellationToken,
    ) -> Result<Self, Error> {
        let client = connect().await?;
        let api: Api<KubeJob> = Api::namespaced(client.clone(), &config.namespace);
        try_jobs(&api, &config).await?;
        let changed = Arc::new(Notify::new());
        let jobs = watch(api.clone(), trim_job, changed.clone(), token.clone());
        let events = Api::namespaced(client.clone(), &config.namespace);
        let pods = Api::namespaced(client.clone(), &config.namespace);
        let pods = watch(pods, trim_pod, changed.clone(), token.clone());
        jobs.wait_until_ready().await.map_err(unavailable)?;
        pods.wait_until_ready().await.map_err(unavailable)?;
        let namespace = lease.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let lease = lease::Holder::begin(Api::namespaced(client, &namespace), lease.holder);
        let (tenure, trouble) = (lease.tenure.clone(), lease.trouble.clone());
        let lease = Mutex::new(Some(lease));
        Ok(Self { config, api, events, jobs, pods, changed, tenure, trouble, lease })
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    pub(super) fn tenure(&self) -> watch::Receiver<Tenure> {
        self.tenure.clone()
    }

    pub(super) async fn resign(&self) {
        if let Some(lease) = self.lease.lock().await.take() {
            lease.resign().await;
        }
    }

    pub(super) async fn launch(
        &self,
        record: &Conversion,
        seconds: Option<f64>,
    ) -> Result<(), Error> {
        let avoid = nodes::to_avoid(&self.pods.state(), record.id, Timestamp::now());
        if !avoid.is_empty() {
            tracing::info!(conversion.id = %record.id, nodes = ?avoid, "kept off nodes that are better avoided");
        }
        let job = job::build(&self.config, record, &Outlook { seconds, avoid });
        match answered("create", self.api.create(&PostParams::default(), &job)).await? {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(refusal)) if refusal.is_already_exists() => {
                let gone = "it went away while it was looked at".to_owned();
                self.adopt(&job, Error::Unavailable(gone)).await
            }
            // A quota is asked before the name: it may be there already.
            Err(kube::Error::Api(refusal)) if is_full(&refusal) => {
                self.adopt(&job, Error::Full(refusal.message.clone())).await
            }
            Err(kube::Error::Api(refusal)) if refusal.is_forbidden() || refusal.is_invalid() => {
                Err(Error::Refused(refusal.message.clone()))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    /// A Job of this name exists, or else this is the error: it is ours if it was made from the same record.
    async fn adopt(&self, wanted: &KubeJob, absent: Error) -> Result<(), Error> {
        let name = wanted.metadata.name.clone().unwrap_or_default();
        let Some(found) = answered("get", self.api.get_opt(&name)).await?.map_err(unavailable)?
        else {
            return Err(absent);
        };
        if found.metadata.deletion_timestamp.is_some() {
            return Err(Error::Unavailable(format!("{name} is still being deleted")));
        }
        let hash = |job: &KubeJob| {
            job.metadata.annotations.as_ref().and_then(|all| all.get(SPEC_HASH).cloned())
        };
        if identity(&found) == identity(wanted) && hash(&found) == hash(wanted) {
            Ok(())
        } else {
            Err(Error::Foreign(name))
        }
    }

    pub(super) fn jobs(&self) -> Vec<Job> {
        let pods = self.pods.state();
        let ours = self.jobs.state();
        ours.iter().filter_map(|job| phase::job(job, &pods)).collect()
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        match answered("delete", self.api.delete(name, &DeleteParams::background())).await? {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(refusal)) if refusal.is_not_found() => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Makes an Event of it.
    pub(super) async fn note(&self, name: &str, note: &Note) {
        let key = ObjectRef::new(name).within(&self.config.namespace);
        let uid = self.jobs.get(&key).and_then(|job| job.metadata.uid.clone()).unwrap_or_default();
        let event = event::build(&self.config.namespace, name, &uid, note);
        let error =
            match answered("event", self.events.create(&PostParams::default(), &event)).await {
                Ok(Ok(_)) => return,
                Ok(Err(kube::Error::Api(refusal))) if refusal.is_already_exists() => return,
                Ok(Err(error)) => unavailable(error),
                Err(error) => error,
            };
        tracing::warn!(job.name = name, %error, note.reason, note.text, "no Event could be written");
    }

    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }
}

/// In a pod, or by KUBECONFIG.
async fn connect() -> Result<Client, Error> {
    Client::try_default().await.map_err(|error| Error::NoCluster(reason(&error)))
}

/// Has the API server judge a Job as ours, more than once: rights and policies that were applied with the
/// dispatcher take a moment.
async fn try_jobs(api: &Api<KubeJob>, config: &JobConfig) -> Result<(), Error> {
    for pause in Growing::new().take(TRIALS) {
        match try_job(api, config).await {
            Err(error @ Error::Unfit(_)) => tracing::warn!(%error, "asking again"),
            answer => return answer,
        }
        sleep(pause).await;
    }
    try_job(api, config).await
}

/// A full quota is no fault.
async fn try_job(api: &Api<KubeJob>, config: &JobConfig) -> Result<(), Error> {
    let Some(job) = trial::job(config) else { return Ok(()) };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match answered("create", api.create(&dry_run, &job)).await? {
        Err(kube::Error::Api(refusal)) if is_full(&refusal) => Ok(()),
        Err(kube::Error::Api(refusal)) if (400..500).contains(&refusal.code) => {
            Err(Error::Unfit(refusal.message.clone()))
        }
        answer => answer.map(drop).map_err(unavailable),
    }
}

fn is_full(refusal: &kube::core::Status) -> bool {
    refusal.message.contains("exceeded quota")
}

/// What the API server answers; an error where it does not answer in time. The client's own limit is
/// made for watches, and a pass must not stand still for minutes.
async fn answered<T>(verb: &'static str, request: impl Future<Output = T>) -> Result<T, Error> {
    let (began, late) =
        (Instant::now(), |_| Error::Unavailable("the API server does not answer".to_owned()));
    let answer = timeout(PATIENCE, request).await.map_err(late);
    metrics::histogram!("audio_converter_k8s_request_seconds", "verb" => verb)
        .record(began.elapsed().as_secs_f64());
    answer
}

fn unavailable(error: impl std::error::Error) -> Error {
    Error::Unavailable(reason(&error))
}

fn reason(error: &impl std::error::Error) -> String {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

/// What nobody here reads is most of an object, and would stay in memory until its TTL.
fn trim_job(job: &mut KubeJob) {
    job.metadata.managed_fields = None;
    job.metadata.annotations = None;
    job.spec = None;
}

fn trim_pod(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
    let node_name = pod.spec.take().and_then(|spec| spec.node_name);
    pod.spec = Some(PodSpec { node_name, ..PodSpec::default() });
}

/// Keeps a copy of all objects with our label up to date, and rings at each change.
fn watch<K>(
    api: Api<K>,
    trim: fn(&mut K),
    changed: Arc<Notify>,
    token: CancellationToken,
) -> Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Default,
{
    let (reader, writer) = reflector::store();
    let events = watcher(api, watcher::Config::default().labels(SELECTOR));
    let events = events.backoff(Growing::new()).modify(trim);
    let mut events = Box::pin(events.reflect(writer).take_until(token.cancelled_owned()));
    tokio::spawn(async move {
        let mut broken = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(_) => {
                    broken = false;
                    changed.notify_one();
                }
                Err(error) if !broken => {
                    tracing::warn!(error = %error, "the watch broke; it is set up again");
                    broken = true;
                }
                Err(_) => {}
            }
        }
    });
    reader
}
