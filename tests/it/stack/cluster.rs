//! A cluster: gateway, auth and dispatcher as processes of the test, everything behind them real.
//!
//! Each stack has a namespace, a database, a virtual host and an account database of its own.

use super::{Settings, distinct, free_port, links::Links, site::Site, take_events};
use crate::{
    Result,
    process::{Process, bound_to_this_thread, output_of},
    wait,
};
use anyhow::Context;
use mongodb::bson::doc;
use queue::{Mp3Message, Queue};
use serde_json::Value;
use std::{
    io::BufReader,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// The running services.
pub(crate) struct Cluster {
    pub(super) url: String,
    pub(super) folder: TempDir,
    /// Name of the namespace, the databases and the virtual host.
    pub(crate) name: String,
    /// Where everything behind the services is, without proxies.
    pub(crate) site: Site,
    links: Option<Links>,
    /// What the dispatcher is told, from its next start on.
    pub(crate) dispatcher_settings: Vec<(&'static str, String)>,
    dispatcher: Process,
    others: Vec<Process>,
}

impl Cluster {
    pub(super) async fn start(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let name = format!("it-{:08x}", rand::random::<u32>());
        let site = if settings.breakable { Site::breakable()? } else { Site::ordinary()? };
        site.make_places(&name)?;
        let (auth_port, port) = (free_port()?, free_port()?);
        let links = match settings.proxied {
            true => Some(Links::start(&site, auth_port, port, folder.path())?),
            false => None,
        };
        let seen = links.as_ref().map_or_else(|| Ok(site.clone()), |it| it.before(&site))?;
        let others =
            start_others(&seen, links.as_ref(), &name, settings, folder.path(), [auth_port, port])?;
        let mongodb =
            links.as_ref().map_or_else(|| Ok(site.mongodb.clone()), |it| it.for_pods(&site))?;
        let for_pods = Site { mongodb, ..site.clone() }.storage_url(&name);
        let dispatcher_settings = dispatcher_settings(&seen, &name, settings, for_pods);
        let dispatcher = Process::start("dispatcher", &[], &dispatcher_settings, folder.path())?;
        let place =
            links.as_ref().map_or_else(|| ([127, 0, 0, 1], port).into(), |it| it.gateway.address());
        let url = format!("http://{place}");
        let mut stack =
            Self { url, folder, name, site, links, dispatcher_settings, dispatcher, others };
        stack.answers(auth_port).await?;
        Ok(stack)
    }

    /// The proxies of a stack that has them.
    pub(crate) fn links(&self) -> Result<&Links> {
        self.links.as_ref().context("a stack without proxies")
    }

    async fn answers(&mut self, auth_port: u16) -> Result {
        let urls = [format!("{}/healthz", auth_url(auth_port)), format!("{}/healthz", self.url)];
        wait::until_true("the services to answer", Duration::from_secs(60), async || {
            self.others.iter_mut().try_for_each(Process::must_run)?;
            for url in &urls {
                if !reqwest::get(url).await?.status().is_success() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    pub(super) fn accounts_url(&self) -> String {
        self.site.accounts_url(&self.name)
    }

    pub(crate) fn storage_url(&self) -> String {
        self.site.storage_url(&self.name)
    }

    pub(super) fn queue_url(&self) -> String {
        self.site.queue_url(&self.name)
    }

    pub(super) async fn kill_dispatcher(&mut self) -> Result {
        self.dispatcher.kill();
        let (settings, folder) = (&self.dispatcher_settings, self.folder.path());
        self.dispatcher = Process::start("dispatcher", &[], settings, folder)?;
        Ok(())
    }

    pub(super) async fn stored_mp3s(&self) -> Result<usize> {
        let client = mongodb::Client::with_uri_str(self.storage_url()).await?;
        let database = client.default_database().context("a database")?;
        let chunks = database.collection::<mongodb::bson::Document>("mp3s.chunks");
        Ok(chunks.distinct("files_id", doc! {}).await?.len())
    }

    pub(super) async fn events(&mut self, count: usize) -> Result<Vec<Mp3Message>> {
        let (queue, mut events) = (Queue::open(&self.queue_url()).await?, Vec::new());
        wait::until_true("the events", Duration::from_secs(90), async || {
            events.extend(take_events(&queue, Duration::from_secs(2)).await?);
            Ok(distinct(&events) >= count)
        })
        .await?;
        Ok(events)
    }

    /// Deletes the virtual host with every queue and message in it, and makes it anew.
    pub(crate) fn wipe_broker(&self) -> Result {
        self.site.rabbitmqctl(&["delete_vhost", &self.name])?;
        self.site.make_vhost(&self.name)
    }

    /// kubectl in this stack's namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        output_of(self.site.kubectl().args(["-n", &self.name]).args(arguments), input)
    }

    /// How many messages lie in a queue of this stack.
    pub(crate) fn messages(&self, queue: &str) -> Result<usize> {
        let all = ["-q", "-p", &self.name, "list_queues", "name", "messages"];
        let listed = self.site.rabbitmqctl(&all)?;
        let count = listed.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
        Ok(count.with_context(|| format!("no queue {queue} in {listed}"))?.trim().parse()?)
    }

    /// Names of all Jobs.
    pub(crate) fn jobs(&self) -> Result<Vec<String>> {
        let names = self.kubectl(&["get", "jobs", "-o", "name"], None)?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Hands every change of every Job to `see`, on a thread of its own, until the watch is dropped.
    pub(crate) fn watch_jobs(
        &self,
        mut see: impl FnMut(&str, &Value) + Send + 'static,
    ) -> Result<Watch> {
        let mut command = bound_to_this_thread(Path::new("kubectl"));
        command.env("KUBECONFIG", &self.site.kubeconfig);
        command.args([
            "-n",
            &self.name,
            "get",
            "jobs",
            "-o",
            "json",
            "--watch",
            "--output-watch-events",
        ]);
        let mut kubectl = command.stdout(Stdio::piped()).spawn()?;
        let events = BufReader::new(kubectl.stdout.take().context("a pipe")?);
        let seen = std::thread::spawn(move || {
            for event in serde_json::Deserializer::from_reader(events)
                .into_iter::<Value>()
                .map_while(|event| event.ok())
            {
                see(event["type"].as_str().unwrap_or_default(), &event["object"]);
            }
        });
        Ok(Watch { kubectl, seen: Some(seen) })
    }

    pub(super) fn tell(&self) {
        self.dispatcher.tell();
        self.others.iter().for_each(Process::tell);
        for what in [&["get", "jobs,pods", "-o", "wide"][..], &["get", "events"]] {
            eprintln!("{}", self.kubectl(what, None).unwrap_or_else(|error| error.to_string()));
        }
    }

    pub(super) async fn end(mut self) {
        self.dispatcher.kill();
        self.others.iter_mut().for_each(Process::kill);
        if let Err(error) = self.site.remove_places(&self.name).await {
            eprintln!("{error:#}");
        }
    }
}

/// A watch on Jobs; ends when dropped.
pub(crate) struct Watch {
    kubectl: Child,
    seen: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
        if let Some(seen) = self.seen.take() {
            let _ = seen.join();
        }
    }
}

/// auth's address.
pub(super) fn auth_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// auth and the gateway, which find everything where `seen` says.
fn start_others(
    seen: &Site,
    links: Option<&Links>,
    name: &str,
    settings: &Settings,
    folder: &Path,
    [auth_port, port]: [u16; 2],
) -> Result<Vec<Process>> {
    let auth = [
        ("AUTH_LISTEN", format!("127.0.0.1:{auth_port}")),
        ("AUTH_DATABASE_URL", seen.accounts_url(name)),
    ];
    let for_gateway = links.map(|links| format!("http://{}", links.auth.address()));
    let gateway = [
        ("GATEWAY_LISTEN", format!("127.0.0.1:{port}")),
        ("GATEWAY_AUTH_URL", for_gateway.unwrap_or_else(|| auth_url(auth_port))),
        ("GATEWAY_MAX_UPLOAD_BYTES", settings.max_upload_bytes.to_string()),
        ("STORAGE_URL", seen.storage_url(name)),
        ("QUEUE_URL", seen.queue_url(name)),
    ];
    Ok(vec![
        Process::start("auth", &[], &auth, folder)?,
        Process::start("gateway", &[], &gateway, folder)?,
    ])
}

fn dispatcher_settings(
    seen: &Site,
    name: &str,
    settings: &Settings,
    for_pods: String,
) -> Vec<(&'static str, String)> {
    let image = settings.image.map_or_else(|| seen.image.clone(), str::to_owned);
    vec![
        ("KUBECONFIG", seen.kubeconfig.clone()),
        ("STORAGE_URL", seen.storage_url(name)),
        ("QUEUE_URL", seen.queue_url(name)),
        ("DISPATCHER_NAMESPACE", name.to_owned()),
        ("DISPATCHER_MAX_JOBS", settings.max_jobs.to_string()),
        ("DISPATCHER_JOB_TTL_SECONDS", settings.job_ttl_seconds.to_string()),
        ("DISPATCHER_PENDING_LIMIT_SECONDS", settings.pending_limit_seconds.to_string()),
        ("CONVERTER_IMAGE", image),
        ("CONVERTER_STORAGE_URL", for_pods),
        ("CONVERTER_MEMORY_MIB", settings.memory_mib.to_string()),
        ("LOG", "info,dispatcher=debug".to_owned()),
    ]
}
