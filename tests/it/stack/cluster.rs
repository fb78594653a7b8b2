//! A cluster: gateway, auth and dispatcher as processes of the test, everything behind them real.
//!
//! Each stack has a namespace, a database, a virtual host and an account database of its own.

use super::{
    Settings, distinct, free_port,
    links::Links,
    rights,
    service::{self, Service, auth_url},
    site::Site,
    take_events,
    watch::Watch,
};
use crate::{
    Result,
    process::{children_of, output_of, with_environment},
    wait,
};
use anyhow::Context;
use mongodb::bson::doc;
use queue::{Mp3Message, Queue};
use serde_json::Value;
use std::time::Duration;
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
    breakable: bool,
    /// Where pods find the storage.
    for_pods: String,
    /// Where auth and gateway say whether they are well.
    health: [String; 2],
    auth: Service,
    gateway: Service,
    /// The one that makes Jobs.
    pub(crate) dispatcher: Service,
    /// A second one, in a scenario that wants it.
    pub(crate) standby: Option<Service>,
}

impl Cluster {
    pub(super) async fn start(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let name = format!("it-{:08x}", rand::random::<u32>());
        let site = if settings.breakable { Site::breakable()? } else { Site::ordinary()? };
        site.make_places(&name)?;
        let (auth_port, port) = (free_port()?, free_port()?);
        let links = || Links::start(&site, auth_port, port, folder.path());
        let links = settings.proxied.then(links).transpose()?;
        let seen = links.as_ref().map_or_else(|| Ok(site.clone()), |it| it.before(&site))?;
        let mongodb =
            links.as_ref().map_or_else(|| Ok(site.mongodb.clone()), |it| it.for_pods(&site))?;
        let for_pods = Site { mongodb, ..site.clone() }.storage_url(&name);
        rights::make_namespaces(&site, &name, &settings.image(&site), &for_pods)?;
        let kubeconfig = rights::of_dispatcher(&seen, &name, folder.path())?;
        let start = |service, settings| Service::start(service, settings, folder.path());
        let auth = start("auth", service::auth(&seen, &name, auth_port))?;
        let gateway = service::gateway(&seen, links.as_ref(), &name, settings, [auth_port, port]);
        let gateway = start("gateway", gateway)?;
        let dispatcher = service::dispatcher(&seen, &name, settings, &kubeconfig);
        let mut second = dispatcher.clone();
        second.retain(|(name, _)| *name != "DISPATCHER_NAME");
        second.push(("DISPATCHER_NAME", "second".to_owned()));
        let standby = settings.standby.then(|| start("dispatcher", second)).transpose()?;
        let dispatcher = start("dispatcher", dispatcher)?;
        let place =
            links.as_ref().map_or_else(|| ([127, 0, 0, 1], port).into(), |it| it.gateway.address());
        let url = format!("http://{place}");
        let health = [auth_url(auth_port), url.clone()].map(|url| format!("{url}/healthz"));
        let mut stack = Self {
            url,
            folder,
            name,
            site,
            links,
            breakable: settings.breakable,
            for_pods,
            health,
            auth,
            gateway,
            dispatcher,
            standby,
        };
        stack.answers().await?;
        Ok(stack)
    }

    /// The proxies of a stack that has them.
    pub(crate) fn links(&self) -> Result<&Links> {
        self.links.as_ref().context("a stack without proxies")
    }

    async fn answers(&mut self) -> Result {
        wait::until_true("the services to answer", Duration::from_secs(60), async || {
            self.auth.must_run()?;
            self.gateway.must_run()?;
            for url in &self.health {
                if !reqwest::get(url).await?.status().is_success() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// kill -9 of auth, gateway, dispatcher or standby.
    pub(crate) fn kill(&mut self, name: &str) {
        match name {
            "auth" => self.auth.kill(),
            "gateway" => self.gateway.kill(),
            "standby" => self.standby.iter_mut().for_each(Service::kill),
            _ => self.dispatcher.kill(),
        }
    }

    /// auth, gateway and dispatcher, to be told something or asked.
    pub(crate) fn services(&mut self) -> [&mut Service; 3] {
        [&mut self.auth, &mut self.gateway, &mut self.dispatcher]
    }

    /// Starts the services that do not run.
    pub(crate) fn revive(&mut self) -> Result {
        let folder = self.folder.path().to_owned();
        if let Some(standby) = &mut self.standby {
            standby.revive(&folder)?;
        }
        self.services().into_iter().try_for_each(|service| service.revive(&folder))
    }

    /// Brings back whatever is away, slow or dead, and waits until all of it answers.
    pub(crate) async fn restore(&mut self) -> Result {
        if let Some(links) = &self.links {
            links.all().iter().for_each(|(_, proxy)| proxy.pass());
        }
        self.site.restore().await?;
        self.revive()?;
        self.answers().await
    }

    /// Ids of the processes that convert for this stack, attempts and decoders.
    pub(crate) fn converters(&self) -> Vec<i32> {
        let attempts = with_environment(&format!("STORAGE_URL={}", self.for_pods), "attempt");
        let decoders: Vec<_> = attempts.iter().flat_map(|id| children_of(*id)).collect();
        [attempts, decoders].concat()
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

    pub(crate) async fn kill_dispatcher(&mut self) -> Result {
        self.dispatcher.kill();
        self.dispatcher.revive(self.folder.path())
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

    /// kubectl with the rights that the dispatcher has.
    pub(crate) fn kubectl_as_dispatcher(
        &self,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<String> {
        let mut kubectl = std::process::Command::new("kubectl");
        kubectl.env("KUBECONFIG", self.folder.path().join(rights::KUBECONFIG));
        output_of(kubectl.args(arguments), input)
    }

    /// The namespace of the services.
    pub(crate) fn services_namespace(&self) -> String {
        rights::services(&self.name)
    }

    /// How many messages lie in a queue of this stack.
    pub(crate) fn messages(&self, queue: &str) -> Result<usize> {
        let all = ["-q", "-p", &self.name, "list_queues", "name", "messages"];
        let listed = self.site.rabbitmqctl(&all)?;
        let count = listed.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
        Ok(count.with_context(|| format!("no queue {queue} in {listed}"))?.trim().parse()?)
    }

    /// The Lease of the dispatchers.
    pub(crate) fn lease(&self) -> Result<Value> {
        let (namespace, mut kubectl) = (self.services_namespace(), self.site.kubectl());
        kubectl.args(["-n", &namespace, "get", "lease", "dispatcher-lease", "-o", "json"]);
        Ok(serde_json::from_str(&output_of(&mut kubectl, None)?)?)
    }

    /// The dispatcher that has the Lease, and the other one.
    pub(crate) fn dispatchers(&mut self) -> Result<[&mut Service; 2]> {
        let is_first = self.lease()?["spec"]["holderIdentity"] == "first";
        let (first, second) = (&mut self.dispatcher, &mut self.standby);
        let second = second.as_mut().context("a stack without a second dispatcher")?;
        Ok(if is_first { [first, second] } else { [second, first] })
    }

    /// Names of all Jobs.
    pub(crate) fn jobs(&self) -> Result<Vec<String>> {
        let names = self.kubectl(&["get", "jobs", "-o", "name"], None)?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Hands every change of every Job to `see`, on a thread of its own, until the watch is dropped.
    pub(crate) fn watch_jobs(
        &self,
        see: impl FnMut(&str, &Value) + Send + 'static,
    ) -> Result<Watch> {
        Watch::jobs(&self.site.kubeconfig, &self.name, see)
    }

    pub(super) fn tell(&self) {
        [&self.dispatcher, &self.auth, &self.gateway].into_iter().for_each(Service::tell);
        for what in [&["get", "jobs,pods", "-o", "wide"][..], &["get", "events"]] {
            eprintln!("{}", self.kubectl(what, None).unwrap_or_else(|error| error.to_string()));
        }
    }

    pub(super) async fn end(mut self) {
        self.standby.iter_mut().for_each(Service::kill);
        for service in [&mut self.dispatcher, &mut self.auth, &mut self.gateway] {
            service.kill();
        }
        // A story that failed may have left parts dead, and the next one has the same cluster.
        if self.breakable
            && let Err(error) = self.site.restore().await
        {
            eprintln!("{error:#}");
        }
        let namespaces = rights::remove_namespaces(&self.site, &self.name);
        for removed in [namespaces, self.site.remove_places(&self.name).await] {
            if let Err(error) = removed {
                eprintln!("{error:#}");
            }
        }
    }
}
