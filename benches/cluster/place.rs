//! A place to measure in: a namespace, a virtual host and databases, and the services that run there.

use super::bare::Bare;
use crate::{Result, program};
use anyhow::{Context, bail};
use queue::Queue;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use storage::Storage;
use tempfile::TempDir;
use uuid::Uuid;

/// Everything a measurement needs.
pub(crate) struct Place {
    name: String,
    /// For clips and logs.
    pub(crate) folder: TempDir,
    /// What the dispatcher works on.
    pub(crate) storage: Storage,
    /// What the bare client's Jobs work on; no dispatcher sees it.
    pub(crate) bare_storage: Storage,
    pub(crate) queue: Queue,
    pub(crate) bare: Bare,
    services: Vec<Service>,
}

/// A running service.
pub(crate) struct Service {
    pub(crate) child: Child,
    name: &'static str,
}

impl Place {
    pub(crate) async fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let name = format!("bench-{}", &Uuid::now_v7().simple().to_string()[20..]);
        kubectl(&["create", "namespace", &name])?;
        rabbitmqctl(&["add_vhost", &name])?;
        let amqp: reqwest::Url = env::var("AMQP_URL")?.parse()?;
        rabbitmqctl(&["set_permissions", "-p", &name, amqp.username(), ".*", ".*", ".*"])?;
        let accounts = name.replace('-', "_");
        sql(&format!("CREATE DATABASE {accounts} CHARACTER SET utf8mb4"))?;
        let storage = Storage::open(&mongo_url(&name)?).await?;
        let bare_storage = Storage::open(&mongo_url(&format!("{name}-bare"))?).await?;
        let queue = Queue::open(&format!("{}/{name}", env::var("AMQP_URL")?)).await?;
        let bare = Bare::open(&name)?;
        Ok(Self { name, folder, storage, bare_storage, queue, bare, services: Vec::new() })
    }

    pub(crate) fn storage_url(&self) -> Result<String> {
        mongo_url(&self.name)
    }

    pub(crate) fn bare_storage_url(&self) -> Result<String> {
        mongo_url(&format!("{}-bare", self.name))
    }

    /// Starts the dispatcher with so many Jobs at once.
    pub(crate) fn dispatcher(&mut self, jobs: usize, more: &[(&str, &str)]) -> Result {
        let jobs = jobs.to_string();
        let own = [
            ("DISPATCHER_NAMESPACE", self.name.clone()),
            ("DISPATCHER_MAX_JOBS", jobs),
            ("STORAGE_URL", self.storage_url()?),
            ("QUEUE_URL", format!("{}/{}", env::var("AMQP_URL")?, self.name)),
        ];
        self.start("dispatcher", &own, more)
    }

    /// Starts auth and gateway; the gateway's address and the administrator's password.
    pub(crate) async fn gateway(&mut self) -> Result<(String, String)> {
        let (auth, gateway) = (free_address()?, free_address()?);
        let password = Uuid::now_v7().to_string();
        let accounts = format!("{}/{}", env::var("MYSQL_URL")?, self.name.replace('-', "_"));
        let of_auth = [
            ("AUTH_LISTEN", auth.clone()),
            ("AUTH_DATABASE_URL", accounts),
            ("AUTH_FIRST_PASSWORD", password.clone()),
        ];
        let of_gateway = [
            ("GATEWAY_LISTEN", gateway.clone()),
            ("GATEWAY_AUTH_URL", format!("http://{auth}")),
            ("GATEWAY_MIN_FREE_BYTES", "0".to_owned()),
            ("STORAGE_URL", self.storage_url()?),
            ("QUEUE_URL", format!("{}/{}", env::var("AMQP_URL")?, self.name)),
        ];
        self.start("auth", &of_auth, &[])?;
        self.start("gateway", &of_gateway, &[])?;
        let signed_in = async {
            loop {
                let asked = reqwest::Client::new().post(format!("http://{gateway}/login"));
                let answer = asked.basic_auth("admin", Some(&password)).send().await;
                if let Ok(answer) = answer.and_then(reqwest::Response::error_for_status) {
                    return Ok(answer.text().await?);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let token: Result<String> =
            tokio::time::timeout(Duration::from_secs(60), signed_in).await.context("no login")?;
        Ok((gateway, token?))
    }

    fn start(
        &mut self,
        name: &'static str,
        environment: &[(&str, String)],
        more: &[(&str, &str)],
    ) -> Result {
        let log = fs::File::create(self.folder.path().join(format!("{name}.log")))?;
        let child = Command::new(program(name))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.services.push(Service { child, name });
        Ok(())
    }

    /// kill -9 of a service.
    pub(crate) fn kill(&mut self, name: &str) {
        self.services.retain(|service| service.name != name);
    }

    /// A figure of a service's memory in MB: `VmRSS:` or `VmHWM:`.
    pub(crate) fn memory_mb(&self, name: &str, field: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid(name)?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Forgets a service's peak so far.
    pub(crate) fn forget_peak(&self, name: &str) -> Result {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.pid(name)?), "5")?)
    }

    fn pid(&self, name: &str) -> Result<u32> {
        let service = self.services.iter().find(|service| service.name == name);
        Ok(service.context("it does not run")?.child.id())
    }

    /// Prints the ends of the logs.
    pub(crate) fn tell(&self) {
        for service in &self.services {
            let path = self.folder.path().join(format!("{}.log", service.name));
            let log = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- {} ---", service.name);
            lines[lines.len().saturating_sub(20)..].iter().for_each(|line| eprintln!("{line}"));
        }
    }

    /// Ends the services and removes everything.
    pub(crate) async fn end(mut self) -> Result {
        self.services.clear();
        kubectl(&["delete", "namespace", &self.name, "--wait=false"])?;
        for url in [self.storage_url()?, self.bare_storage_url()?] {
            let client = mongodb::Client::with_uri_str(url).await?;
            client.default_database().context("a database")?.drop().await?;
        }
        rabbitmqctl(&["delete_vhost", &self.name])?;
        sql(&format!("DROP DATABASE {}", self.name.replace('-', "_")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mongo_url(name: &str) -> Result<String> {
    Ok(format!("{}/{}", env::var("MONGODB_URL")?, name.replace('-', "_")))
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// What kubectl says.
pub(crate) fn kubectl(arguments: &[&str]) -> Result<String> {
    output(Command::new("kubectl").args(arguments))
}

fn rabbitmqctl(arguments: &[&str]) -> Result {
    let tool = env::var("RABBITMQCTL")
        .map_or_else(|_| Path::new("tests/cluster/rabbitmqctl").to_owned(), PathBuf::from);
    output(Command::new(tool).args(arguments)).map(drop)
}

fn sql(statement: &str) -> Result {
    let url: reqwest::Url = env::var("MYSQL_URL")?.parse()?;
    let mut mariadb = Command::new("mariadb");
    mariadb
        .args(["--no-defaults", "--protocol=tcp", "--host", url.host_str().unwrap_or_default()])
        .args(["--port", &url.port().unwrap_or(3306).to_string(), "--user", url.username()])
        .args(["--execute", statement])
        .env("MYSQL_PWD", url.password().unwrap_or_default());
    output(&mut mariadb).map(drop)
}

pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
