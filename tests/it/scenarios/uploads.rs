//! Nothing goes wrong, and much happens at once.

use crate::{
    Result, clips,
    judge::{one_mp3_each, upload_all},
    stack::{Stack, cluster::Cluster},
    wait,
};
use anyhow::ensure;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

pub(super) async fn two_users_upload_ten_clips_at_once(stack: &mut Stack) -> Result {
    let users = [stack.user("ada").await?, stack.user("grace").await?];
    let mut uploads = Vec::new();
    for n in 0..10 {
        let clip = clips::clip(stack.folder(), 300 + 120 * n, 2.0 + f64::from(n % 3))?;
        uploads.push((users[n as usize % 2].clone(), clip));
    }
    let history = match stack {
        Stack::Cluster(cluster) => Some(JobHistory::follow(cluster)?),
        Stack::Embedded(_) => None,
    };
    let accepted = upload_all(uploads).await?;
    for user in &users {
        let list: Value = user.get("/v1/conversions?limit=100").await?.json().await?;
        ensure!(list["items"].as_array().is_some_and(|items| items.len() == 5), "{list}");
    }
    one_mp3_each(stack, &accepted).await?;
    if let (Stack::Cluster(cluster), Some(history)) = (&*stack, history) {
        let limit = Duration::from_secs(60);
        wait::until_true("finished Jobs to go away", limit, async || {
            Ok(cluster.jobs()?.is_empty())
        })
        .await?;
        history.judge(accepted.len(), 3)?;
    }
    Ok(())
}

/// Everything that ever happened to the Jobs of a stack.
struct JobHistory {
    _watch: crate::stack::watch::Watch,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    alive: HashSet<String>,
    most_alive: usize,
    of_conversion: HashMap<String, HashSet<String>>,
}

impl JobHistory {
    fn follow(cluster: &Cluster) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let noted = seen.clone();
        let watch = cluster.watch_jobs(move |event, job| {
            if let Ok(mut seen) = noted.lock() {
                seen.note(event, job);
            }
        })?;
        Ok(Self { _watch: watch, seen })
    }

    fn judge(&self, conversions: usize, cap: usize) -> Result {
        let Ok(seen) = self.seen.lock() else { anyhow::bail!("the watch failed") };
        ensure!(
            seen.of_conversion.len() == conversions,
            "Jobs of {} conversions",
            seen.of_conversion.len()
        );
        ensure!(
            seen.of_conversion.values().all(|jobs| jobs.len() == 1),
            "{:?}",
            seen.of_conversion
        );
        ensure!(seen.most_alive <= cap, "{} Jobs at once", seen.most_alive);
        Ok(())
    }
}

impl Seen {
    fn note(&mut self, event: &str, job: &Value) {
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let label = &job["metadata"]["labels"]["audio-converter.dev/conversion"];
        self.of_conversion
            .entry(label.as_str().unwrap_or_default().to_owned())
            .or_default()
            .insert(name.clone());
        let conditions =
            job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ended = conditions.iter().any(|condition| {
            condition["status"] == "True"
                && ["Complete", "Failed"].iter().any(|end| condition["type"] == *end)
        });
        if ended || event == "DELETED" {
            self.alive.remove(&name);
        } else {
            self.alive.insert(name);
        }
        self.most_alive = self.most_alive.max(self.alive.len());
    }
}
