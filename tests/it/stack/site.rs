//! Where a cluster's parts are: the ordinary one's in the environment, the breakable one's in the
//! file that `BREAKABLE_CLUSTER` names. Tests stop and kill the parts of the breakable one.

use crate::{Result, process::output_of, wait};
use anyhow::{Context, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What a run must say of itself, in the order of the fields.
const NEEDED: [&str; 5] = ["KUBECONFIG", "MONGODB_URL", "AMQP_URL", "MYSQL_URL", "CONVERTER_IMAGE"];

/// The parts that tests stop and kill.
const PARTS: [&str; 5] = ["rabbitmq", "mongod", "mariadb", "apiserver", "kubelet"];

/// Addresses of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) kubeconfig: String,
    pub(super) mongodb: String,
    pub(super) amqp: String,
    pub(super) mysql: String,
    pub(crate) image: String,
    /// The folder of the run, where `tests/cluster/up` has made the cluster.
    pub(super) run: Option<String>,
    /// The node's network, and its address there.
    pub(super) network: Option<(String, String)>,
}

/// Why a site cannot be used, if so.
pub(crate) fn absent(breakable: bool) -> Option<String> {
    let site = if breakable { Site::breakable() } else { Site::ordinary() };
    site.err().map(|error| format!("{error:#}"))
}

impl Site {
    /// The one that tests share, each with places of its own.
    pub(crate) fn ordinary() -> Result<Self> {
        Self::read(|name| env::var(name).ok())
    }

    /// The one whose parts may be stopped, by one test at a time.
    pub(crate) fn breakable() -> Result<Self> {
        let file = env::var("BREAKABLE_CLUSTER").context("BREAKABLE_CLUSTER is not set")?;
        let mut shell = Command::new("env");
        shell.args(["-i", "bash", "-c", ". \"$0\" && env", &file]);
        let said = output_of(&mut shell, None)?;
        let site = Self::read(|name| {
            let value = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.map(str::to_owned)
        })?;
        ensure!(site.run.is_some(), "{file} names no CLUSTER_RUN: its parts cannot be stopped");
        Ok(site)
    }

    fn read(said: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let [kubeconfig, mongodb, amqp, mysql, image] =
            NEEDED.map(|name| said(name).with_context(|| format!("{name} is not set")));
        Ok(Self {
            kubeconfig: kubeconfig?,
            mongodb: mongodb?,
            amqp: amqp?,
            mysql: mysql?,
            image: image?,
            run: said("CLUSTER_RUN"),
            network: said("CLUSTER_NETNS").zip(said("CLUSTER_NODE_ADDRESS")),
        })
    }

    /// Stops, kills, pauses, resumes or starts a part; see `tests/cluster/part`.
    pub(crate) fn part(&self, action: &str, name: &str) -> Result {
        output_of(self.tool("part").args([action, name]), None).map(drop)
    }

    /// Starts, kills or removes the second node; see `tests/cluster/worker`.
    pub(crate) fn worker(&self, action: &str) -> Result {
        output_of(self.tool("worker").arg(action), None).map(drop)
    }

    /// Packs a program as an image of this name, and puts it on the node.
    pub(crate) fn pack(&self, program: &Path, image: &str) -> Result {
        output_of(self.tool("image").arg(program).arg(image), None).map(drop)
    }

    /// Starts the parts that do not run, and waits until all of them work.
    pub(super) async fn restore(&self) -> Result {
        for name in PARTS {
            self.part("start", name)?;
        }
        let ready = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        wait::until_true("the parts to work", Duration::from_secs(90), async || {
            let limit = "--request-timeout=5s";
            let nodes = output_of(self.kubectl().args([limit, "get", "nodes", "-o", ready]), None)?;
            ensure!(nodes == "True", "the node's readiness: {nodes}");
            self.sql("SELECT 1")?;
            self.rabbitmqctl(&["-q", "list_vhosts"])?;
            let mongodb = mongodb::Client::with_uri_str(&self.mongodb).await?;
            mongodb.list_database_names().await?;
            Ok(true)
        })
        .await
    }

    /// kubectl.
    pub(crate) fn kubectl(&self) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl.env("KUBECONFIG", &self.kubeconfig);
        kubectl
    }

    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        let mut rabbitmqctl = match env::var("RABBITMQCTL") {
            Ok(tool) if self.run.is_none() => Command::new(tool),
            _ => self.tool("rabbitmqctl"),
        };
        output_of(rabbitmqctl.args(arguments), None)
    }

    /// A program of `tests/cluster`, for this run.
    fn tool(&self, name: &str) -> Command {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
        let mut tool = Command::new(folder.join(name));
        if let Some(run) = &self.run {
            tool.env("CLUSTER_RUN", run);
        }
        tool
    }

    /// Makes the account database and the virtual host of this name.
    pub(super) fn make_places(&self, name: &str) -> Result {
        self.sql(&format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database(name)))?;
        self.make_vhost(name)
    }

    /// Removes them, and the database of the records.
    pub(super) async fn remove_places(&self, name: &str) -> Result {
        let client = mongodb::Client::with_uri_str(self.storage_url(name)).await?;
        client.default_database().context("a database")?.drop().await?;
        self.rabbitmqctl(&["delete_vhost", name])?;
        self.sql(&format!("DROP DATABASE {}", database(name)))
    }

    pub(super) fn make_vhost(&self, name: &str) -> Result {
        self.rabbitmqctl(&["add_vhost", name])?;
        let amqp: reqwest::Url = self.amqp.parse()?;
        let permissions = [".*", ".*", ".*"];
        let all = ["set_permissions", "-p", name, amqp.username()].into_iter().chain(permissions);
        self.rabbitmqctl(&all.collect::<Vec<_>>()).map(drop)
    }

    fn sql(&self, statement: &str) -> Result {
        let url: reqwest::Url = self.mysql.parse()?;
        let mut mariadb = Command::new("mariadb");
        mariadb
            .args(["--no-defaults", "--protocol=tcp", "--host", url.host_str().unwrap_or_default()])
            .args(["--port", &url.port().unwrap_or(3306).to_string(), "--user", url.username()])
            .env("MYSQL_PWD", url.password().unwrap_or_default());
        output_of(&mut mariadb, Some(statement)).map(drop)
    }

    pub(super) fn storage_url(&self, name: &str) -> String {
        format!("{}/{}", self.mongodb, database(name))
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("{}/{name}", self.amqp)
    }

    pub(super) fn accounts_url(&self, name: &str) -> String {
        format!("{}/{}", self.mysql, database(name))
    }
}

/// A namespace's name as that of a database.
fn database(name: &str) -> String {
    name.replace('-', "_")
}
