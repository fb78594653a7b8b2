//! What gateway, auth and dispatcher cost on a cluster while nothing happens: fresh, and a minute
//! after twenty uploads. Everything is made in places of its own, and removed afterwards.

use crate::{
    Result, program,
    report::Row,
    server::{WakeUps, cpu_seconds, status_mb, wait_for},
};
use anyhow::{Context, ensure};
use reqwest::Client;
use serde_json::Value;
use std::{
    env,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const SERVICES: [&str; 3] = ["auth", "gateway", "dispatcher"];
const NEEDED: [&str; 5] = ["KUBECONFIG", "MONGODB_URL", "AMQP_URL", "MYSQL_URL", "CONVERTER_IMAGE"];
const PASSWORD: &str = "a long enough password";
const UPLOADS: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn measure() -> Result<Vec<Row>> {
    if let Some(name) = NEEDED.iter().find(|name| env::var(name).is_err()) {
        eprintln!("left out, {name} is not set: gateway, auth and dispatcher on a cluster");
        return Ok(Vec::new());
    }
    let mut place = Place::make()?;
    let url = place.start()?;
    thread::sleep(MINUTE);
    let mut rows = place.memory("fresh")?;
    wait_for(work(&url))?;
    thread::sleep(MINUTE);
    rows.extend(place.memory("60 s after 20 uploads")?);
    let dispatcher = place.services[2].id();
    let (woken, asked) = (WakeUps::of(dispatcher)?, asked()?);
    let used = cpu_seconds(dispatcher)?;
    thread::sleep(MINUTE);
    let woken = WakeUps::of(dispatcher)?.since(&woken);
    // The driver of MongoDB looks at its connections twice a second; we ourselves wait.
    eprintln!("idle dispatcher: woken {woken:.0} times in 60 s");
    let share = (cpu_seconds(dispatcher)? - used) / MINUTE.as_secs_f64() * 100.0;
    rows.push(Row::of_limit("idle dispatcher: of one core", share, 0.5, "%"));
    let asked = self::asked()? - asked;
    rows.push(Row::of_limit("idle dispatcher: API requests in 60 s", asked, 0.0, ""));
    Ok(rows)
}

/// Uploads that are no media, each with a Job, and their ends.
async fn work(url: &str) -> Result {
    let client = Client::new();
    let login = client.post(format!("{url}/login")).basic_auth("admin", Some(PASSWORD));
    let token = login.send().await?.error_for_status()?.text().await?;
    let mut made = Vec::new();
    for _ in 0..UPLOADS {
        let upload = client.post(format!("{url}/v1/videos?name=a.mp4")).bearer_auth(&token);
        let answer = upload.body(vec![7; 1 << 20]).send().await?.error_for_status()?;
        let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        made.push(answer["id"].as_str().context("an id")?.to_owned());
    }
    let end = Instant::now() + 5 * MINUTE;
    for id in made {
        while state(&client, &token, &format!("{url}/v1/conversions/{id}?wait=30")).await?
            != "failed"
        {
            ensure!(Instant::now() < end, "{id} has no end");
        }
    }
    Ok(())
}

async fn state(client: &Client, token: &str, url: &str) -> Result<String> {
    let answer = client.get(url).bearer_auth(token).send().await?.error_for_status()?;
    let record: Value = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(record["state"].as_str().context("a state")?.to_owned())
}

/// Requests so far for Jobs, pods or events of one namespace. The control plane's own watch all
/// namespaces, so on a cluster where nothing else happens these are the dispatcher's.
fn asked() -> Result<f64> {
    let text = output(Command::new("kubectl").args(["get", "--raw", "/metrics"]))?;
    let ours = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && !line.contains(r#"verb="WATCH""#)
            && !line.contains(r#"scope="cluster""#)
            && ["jobs", "pods", "events"]
                .iter()
                .any(|kind| line.contains(&format!(r#"resource="{kind}""#)))
    };
    let counts = text.lines().filter(ours).filter_map(|line| line.rsplit(' ').next());
    Ok(counts.map(str::parse::<f64>).sum::<std::result::Result<f64, _>>()?)
}

/// A namespace, two databases and a virtual host, and the services on them.
struct Place {
    name: String,
    services: Vec<Child>,
}

impl Place {
    fn make() -> Result<Self> {
        let place = Self { name: format!("idle-{:08x}", rand::random::<u32>()), services: vec![] };
        output(Command::new("kubectl").args(["create", "namespace", &place.name]))?;
        sql(&format!("CREATE DATABASE `{}` CHARACTER SET utf8mb4", place.name))?;
        rabbitmqctl(&["add_vhost", &place.name])?;
        let amqp: reqwest::Url = env::var("AMQP_URL")?.parse()?;
        rabbitmqctl(&["set_permissions", "-p", &place.name, amqp.username(), ".*", ".*", ".*"])?;
        Ok(place)
    }

    /// Starts the three and returns the gateway's address once it and auth answer.
    fn start(&mut self) -> Result<String> {
        let (auth, gateway) = (free_address()?, free_address()?);
        let at =
            |server: &str| Ok::<_, env::VarError>(format!("{}/{}", env::var(server)?, self.name));
        let (auth_url, url) = (format!("http://{auth}"), format!("http://{gateway}"));
        let environment = [
            ("AUTH_LISTEN", auth),
            ("AUTH_DATABASE_URL", at("MYSQL_URL")?),
            ("AUTH_FIRST_PASSWORD", PASSWORD.to_owned()),
            ("GATEWAY_LISTEN", gateway),
            ("GATEWAY_AUTH_URL", auth_url.clone()),
            ("STORAGE_URL", at("MONGODB_URL")?),
            ("QUEUE_URL", at("AMQP_URL")?),
            ("DISPATCHER_NAMESPACE", self.name.clone()),
            ("DISPATCHER_JOB_TTL_SECONDS", "5".to_owned()),
            ("LOG", "error".to_owned()),
        ];
        for service in SERVICES {
            let mut command = Command::new(program(service));
            // Metrics are kept only where there is an admin port; one address cannot serve three.
            command.envs(environment.clone()).env("ADMIN_LISTEN", free_address()?);
            let started = command.stdin(Stdio::null()).spawn();
            self.services.push(started.with_context(|| format!("cannot start {service}"))?);
        }
        let end = Instant::now() + MINUTE;
        for url in [&auth_url, &url] {
            while wait_for(async { Ok(reqwest::get(format!("{url}/healthz")).await?) }).is_err() {
                ensure!(Instant::now() < end, "{url} does not answer");
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(url)
    }

    fn memory(&self, when: &str) -> Result<Vec<Row>> {
        let mut sum = 0.0;
        for (name, service) in SERVICES.iter().zip(&self.services) {
            let resident = status_mb(service.id(), "VmRSS:")?;
            eprintln!(
                "{name}, {when}: {resident:.1} MB, {:.1} anonymous",
                status_mb(service.id(), "RssAnon:")?
            );
            sum += resident;
        }
        let dispatcher = self.services[2].id();
        let (resident, own) =
            (status_mb(dispatcher, "VmRSS:")?, status_mb(dispatcher, "RssAnon:")?);
        Ok(vec![
            Row::of_limit(&format!("idle three, {when}"), sum, 80.0, "MB"),
            Row::of_limit(&format!("idle dispatcher, {when}"), resident, 36.0, "MB"),
            Row::of_limit(&format!("  anonymous, {when}"), own, 16.0, "MB"),
        ])
    }

    async fn drop_records(&self) -> Result {
        let client = mongodb::Client::with_uri_str(env::var("MONGODB_URL")?).await?;
        Ok(client.database(&self.name).drop().await?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for service in &mut self.services {
            let _ = service.kill();
            let _ = service.wait();
        }
        let namespace = ["delete", "namespace", &self.name, "--wait=false"];
        let ends = [
            wait_for(self.drop_records()),
            sql(&format!("DROP DATABASE `{}`", self.name)),
            rabbitmqctl(&["delete_vhost", &self.name]),
            output(Command::new("kubectl").args(namespace)).map(drop),
        ];
        ends.into_iter().filter_map(Result::err).for_each(|error| eprintln!("{error:#}"));
    }
}

fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn rabbitmqctl(arguments: &[&str]) -> Result {
    let tool = env::var("RABBITMQCTL").unwrap_or_else(|_| "tests/cluster/rabbitmqctl".to_owned());
    output(Command::new(tool).args(arguments)).map(drop)
}

fn sql(statement: &str) -> Result {
    let url: reqwest::Url = env::var("MYSQL_URL")?.parse()?;
    let mut mariadb = Command::new("mariadb");
    mariadb.args(["--no-defaults", "--protocol=tcp", "--host", url.host_str().unwrap_or_default()]);
    mariadb.args(["--port", &url.port().unwrap_or(3306).to_string(), "--user", url.username()]);
    mariadb.env("MYSQL_PWD", url.password().unwrap_or_default());
    output(mariadb.args(["--execute", statement])).map(drop)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
