//! A cluster: gateway, auth and dispatcher as processes of the test, everything behind them real.
//!
//! Each stack has a namespace, a database, a virtual host and an account database of its own.

use super::{Settings, distinct, free_port, take_events};
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
    env,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// The running services.
pub(crate) struct Cluster {
    pub(super) url: String,
    pub(super) folder: TempDir,
    /// Name of the namespace, the databases and the virtual host.
    pub(crate) name: String,
    dispatcher: Process,
    others: Vec<Process>,
    settings: Settings,
    accounts: String,
}

impl Cluster {
    pub(super) async fn start(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let name = format!("it-{:08x}", rand::random::<u32>());
        make_places(&name)?;
        let accounts = format!("{}/{}", env::var("MYSQL_URL")?, database(&name));
        let (auth_port, port) = (free_port()?, free_port()?);
        let auth = [
            ("AUTH_LISTEN", format!("127.0.0.1:{auth_port}")),
            ("AUTH_DATABASE_URL", accounts.clone()),
        ];
        let gateway = [
            ("GATEWAY_LISTEN", format!("127.0.0.1:{port}")),
            ("GATEWAY_AUTH_URL", format!("http://127.0.0.1:{auth_port}")),
            ("GATEWAY_MAX_UPLOAD_BYTES", settings.max_upload_bytes.to_string()),
            ("STORAGE_URL", storage_url(&name)?),
            ("QUEUE_URL", queue_url(&name)?),
        ];
        let others = vec![
            Process::start("auth", &[], &auth, folder.path())?,
            Process::start("gateway", &[], &gateway, folder.path())?,
        ];
        let dispatcher = dispatch(&name, settings, folder.path())?;
        let url = format!("http://127.0.0.1:{port}");
        let mut stack =
            Self { url, folder, name, dispatcher, others, settings: *settings, accounts };
        stack.answers(auth_port).await?;
        Ok(stack)
    }

    async fn answers(&mut self, auth_port: u16) -> Result {
        let urls =
            [format!("http://127.0.0.1:{auth_port}/healthz"), format!("{}/healthz", self.url)];
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
        self.accounts.clone()
    }

    pub(crate) fn storage_url(&self) -> String {
        storage_url(&self.name).unwrap_or_default()
    }

    pub(super) fn queue_url(&self) -> String {
        queue_url(&self.name).unwrap_or_default()
    }

    pub(super) async fn kill_dispatcher(&mut self) -> Result {
        self.dispatcher.kill();
        self.dispatcher = dispatch(&self.name, &self.settings, self.folder.path())?;
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
        rabbitmqctl(&["delete_vhost", &self.name])?;
        make_vhost(&self.name)
    }

    /// kubectl in this stack's namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        output_of(Command::new("kubectl").args(["-n", &self.name]).args(arguments), input)
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
        let gone = async {
            let client = mongodb::Client::with_uri_str(self.storage_url()).await?;
            client.default_database().context("a database")?.drop().await?;
            rabbitmqctl(&["delete_vhost", &self.name])?;
            sql(&format!("DROP DATABASE {}", database(&self.name)))?;
            output_of(
                Command::new("kubectl").args(["delete", "namespace", &self.name, "--wait=false"]),
                None,
            )
        };
        if let Err(error) = gone.await {
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

fn dispatch(name: &str, settings: &Settings, folder: &Path) -> Result<Process> {
    let environment = [
        ("STORAGE_URL", storage_url(name)?),
        ("QUEUE_URL", queue_url(name)?),
        ("DISPATCHER_NAMESPACE", name.to_owned()),
        ("DISPATCHER_MAX_JOBS", settings.max_jobs.to_string()),
        ("DISPATCHER_JOB_TTL_SECONDS", settings.job_ttl_seconds.to_string()),
        ("LOG", "info,dispatcher=debug".to_owned()),
    ];
    Process::start("dispatcher", &[], &environment, folder)
}

fn make_places(name: &str) -> Result {
    output_of(Command::new("kubectl").args(["create", "namespace", name]), None)?;
    sql(&format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database(name)))?;
    make_vhost(name)
}

fn make_vhost(name: &str) -> Result {
    rabbitmqctl(&["add_vhost", name])?;
    let amqp: reqwest::Url = env::var("AMQP_URL")?.parse()?;
    rabbitmqctl(&["set_permissions", "-p", name, amqp.username(), ".*", ".*", ".*"])
}

fn rabbitmqctl(arguments: &[&str]) -> Result {
    let tool = env::var("RABBITMQCTL")
        .map_or_else(|_| PathBuf::from("tests/cluster/rabbitmqctl"), PathBuf::from);
    output_of(Command::new(tool).args(arguments), None).map(drop)
}

fn sql(statement: &str) -> Result {
    let url: reqwest::Url = env::var("MYSQL_URL")?.parse()?;
    let mut mariadb = Command::new("mariadb");
    mariadb
        .args(["--no-defaults", "--protocol=tcp", "--host", url.host_str().unwrap_or_default()])
        .args(["--port", &url.port().unwrap_or(3306).to_string(), "--user", url.username()])
        .env("MYSQL_PWD", url.password().unwrap_or_default());
    output_of(&mut mariadb, Some(statement)).map(drop)
}

fn database(name: &str) -> String {
    name.replace('-', "_")
}

fn storage_url(name: &str) -> Result<String> {
    Ok(format!("{}/{}", env::var("MONGODB_URL")?, database(name)))
}

fn queue_url(name: &str) -> Result<String> {
    Ok(format!("{}/{name}", env::var("AMQP_URL")?))
}
