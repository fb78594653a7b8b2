//! The same for a cluster: a consumer of the `mp3` queue notes every event while the story goes on, and
//! at the end, when all is at rest, the checker reads MongoDB, the events, the dead letters, and which
//! Jobs and pods there are.

use super::{Told, checker};
use crate::{Result, process::output_of, stack::cluster::Cluster, wait};
use anyhow::{Context, ensure};
use queue::{Item, Queue, Topic};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::task::JoinHandle;

/// Longest time until nothing is at work any more: a Job whose end nobody has seen is deleted after
/// a minute.
const REST: Duration = Duration::from_secs(120);

/// A consumer of the `mp3` queue; ends when dropped.
pub(crate) struct Heard {
    path: PathBuf,
    taking: JoinHandle<()>,
}

impl Heard {
    /// Begins to take events, and notes each before it is acked.
    pub(crate) async fn begin(queue: &Queue, folder: &Path) -> Result<Self> {
        let path = folder.join("events");
        let (mut consumer, mut file) = (queue.consume(Topic::Mp3).await?, fs::File::create(&path)?);
        let taking = tokio::spawn(async move {
            loop {
                let Item::Delivery(delivery) = consumer.next().await else { continue };
                let body = delivery.message().ok().and_then(|event| event.to_json().ok());
                if let Err(error) = writeln!(file, "{}", body.unwrap_or_default()) {
                    eprintln!("an event could not be noted: {error}");
                    return;
                }
                // Where the ack is lost the event comes again, with the same id.
                let _ = delivery.ack().await;
            }
        });
        Ok(Self { path, taking })
    }

    /// Waits until there is an event of each conversion that has succeeded; returns their file.
    pub(crate) async fn all(&self, told: &Told) -> Result<String> {
        let expected: HashSet<Value> = lines(&told.path)?
            .into_iter()
            .filter(|line| line["state"] == "succeeded")
            .map(|line| line["conversion"].clone())
            .collect();
        wait::until_true("an event of each success", REST, async || {
            let events = lines(&self.path)?;
            let heard = events.iter().map(|event| event["conversion"].clone()).collect();
            let missing: Vec<_> = expected.difference(&heard).collect();
            ensure!(missing.is_empty(), "none of {missing:?}");
            Ok(true)
        })
        .await?;
        Ok(self.path.display().to_string())
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.taking.abort();
    }
}

impl Told {
    /// Waits until the cluster is at rest, and has the checker judge it; at most so many conversions
    /// may have used up their attempts. Returns what the checker has counted.
    pub(crate) async fn judge_cluster(
        &self,
        cluster: &mut Cluster,
        queue: &Queue,
        heard: &Heard,
        exhausted: usize,
    ) -> Result<String> {
        wait::until_true("Jobs and pods to go away", REST, async || {
            let left = cluster.kubectl(&["get", "jobs,pods", "-o", "name"], None)?;
            ensure!(left.is_empty(), "{left}");
            Ok(true)
        })
        .await?;
        let url = cluster.storage_url();
        // With old markers, since a new dispatcher sweeps at once and then every 30 s.
        database(&url, &["rest"])?;
        cluster.kill_dispatcher().await?;
        wait::until_true("the records to be at rest", REST, async || {
            let left = database(&url, &["rest"])?;
            ensure!(left.trim().is_empty(), "{left}");
            Ok(cluster.messages("video")? == 0)
        })
        .await?;
        let events = heard.all(self).await?;
        let letters = queue.dead_letters(10_000).await?;
        let dead = self.path.with_file_name("dead");
        fs::write(
            &dead,
            letters.iter().map(|it| format!("{}\n", json!(it.body))).collect::<String>(),
        )?;
        let (dead, exhausted) = (dead.display().to_string(), exhausted.to_string());
        let rest = ["--events", &events, "--dead", &dead, "--exhausted", &exhausted];
        self.check_database(cluster, &url, &[&rest[..], &["--namespace", &cluster.name]].concat())
    }

    /// What the checker says of a database; an error where it finds a fault.
    pub(crate) fn check_database(
        &self,
        cluster: &Cluster,
        url: &str,
        more: &[&str],
    ) -> Result<String> {
        let mut check = with_pymongo("check.py");
        check.env("KUBECONFIG", &cluster.site.kubeconfig).arg(url).arg(&self.path);
        output_of(check.arg("--swept").args(more), None)
    }
}

/// Alters a database or a copy of it, or asks for something in it; see `alter_database.py`.
pub(crate) fn database(url: &str, what: &[&str]) -> Result<String> {
    output_of(with_pymongo("alter_database.py").arg(url).args(what), None)
}

fn with_pymongo(name: &str) -> Command {
    let mut command = Command::new(checker().join("python"));
    command.arg(checker().join(name));
    command
}

/// The JSON values of a file that has one a line.
fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    let values = text.lines().filter(|line| !line.is_empty());
    values.map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}
