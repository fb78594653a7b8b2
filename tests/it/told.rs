//! What clients were told, line by line as it happened, for the checker: a program in
//! `tests/checker` that shares no code with the services and judges by it what is stored.

mod cluster;

pub(crate) use cluster::{Heard, database};

use crate::{
    Result, client::Client, clips::Clip, process::output_of, stack::embedded::Embedded, wait,
};
use anyhow::{Context, ensure};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Longest time for one answer through all the faults of a scenario.
const LONG: Duration = Duration::from_secs(300);

/// The file that the checker reads.
pub(crate) struct Told {
    path: PathBuf,
    /// Codes with which a conversion may fail here.
    may_fail: &'static [&'static str],
    /// Answers of 507.
    pub(crate) full: AtomicUsize,
    /// How long the end of a conversion is waited for.
    pub(crate) patience: Duration,
}

impl Told {
    /// An empty one in the test's folder.
    pub(crate) fn new(folder: &Path, may_fail: &'static [&'static str]) -> Self {
        Self { path: folder.join("told"), may_fail, full: AtomicUsize::new(0), patience: LONG }
    }

    fn note(&self, line: &Value) -> Result {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        Ok(writeln!(file, "{line}")?)
    }

    /// Uploads a clip, whatever happens to the server meanwhile, and returns its conversion.
    pub(crate) async fn upload(&self, client: &Client, owner: &str, clip: &Clip) -> Result<Value> {
        let bytes = fs::read(&clip.path)?;
        let key = uuid::Uuid::now_v7().to_string();
        let answer = self.answer("an upload to be accepted", async || {
            client.post_video("film.mp4", bytes.clone(), &key).await
        });
        let (status, record) = answer.await?;
        ensure!(status == StatusCode::ACCEPTED, "{status} {record}");
        let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        self.note(&json!({
            "said": "accepted", "conversion": record["id"], "video": record["video"], "owner": owner,
            "sha256": sha256, "seconds": clip.seconds, "hertz": clip.frequency,
            "may_fail": self.may_fail,
        }))?;
        Ok(record)
    }

    /// Waits until a conversion is final.
    pub(crate) async fn finish(&self, client: &Client, record: &Value) -> Result {
        let id = record["id"].as_str().context("an id")?;
        let what = format!("conversion {id} to end");
        let state = wait::until(&what, self.patience, async || {
            // Asked once in a while: many wait at once.
            let answer = client.get(&format!("/v1/conversions/{id}?wait=20")).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(Some("lost".to_owned()));
            }
            let record: Value = answer.error_for_status()?.json().await?;
            let state = record["state"].as_str().unwrap_or_default();
            let last = ["succeeded", "failed", "cancelled"].contains(&state);
            Ok(last.then(|| state.to_owned()))
        });
        self.note(&json!({ "said": "final", "conversion": id, "state": state.await? }))
    }

    /// Calls a conversion off; it may be too late for that.
    pub(crate) async fn cancel(&self, client: &Client, record: &Value) -> Result {
        let path = format!("/v1/conversions/{}/cancel", record["id"].as_str().context("an id")?);
        let answer = self.answer("a cancellation", async || {
            Ok(client.request(Method::POST, &path).send().await?)
        });
        match answer.await?.0 {
            StatusCode::OK => {
                self.note(&json!({ "said": "cancelled", "conversion": record["id"] }))
            }
            StatusCode::CONFLICT => Ok(()),
            status => anyhow::bail!("cancel: {status}"),
        }
    }

    /// Deletes a video and all that hangs on it, at once or in the middle of the work. A repeated request finds nothing.
    pub(crate) async fn delete(&self, client: &Client, record: &Value) -> Result {
        let path = format!("/v1/videos/{}", record["video"].as_str().context("a video")?);
        let mut tries = 0;
        let answer = self.answer("a deletion", async || {
            tries += 1;
            Ok(client.request(Method::DELETE, &path).send().await?)
        });
        let (status, _) = answer.await?;
        let gone = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_FOUND && tries > 1;
        ensure!(gone, "delete: {status}");
        self.note(&json!({ "said": "deleted", "video": record["video"] }))
    }

    /// A message that means nothing is sent, and is to end among the dead ones.
    pub(crate) fn nonsense(&self, body: &str) -> Result {
        self.note(&json!({ "said": "nonsense", "body": body }))
    }

    /// Asks until there is an answer that is neither a lost connection nor `come again`.
    async fn answer(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Result<Response>,
    ) -> Result<(StatusCode, Value)> {
        wait::until(what, LONG, async || {
            let answer = ask().await?;
            let status = answer.status();
            let body = answer.text().await?;
            match status {
                StatusCode::SERVICE_UNAVAILABLE => Ok(None),
                StatusCode::INSUFFICIENT_STORAGE => {
                    self.full.fetch_add(1, Ordering::Relaxed);
                    Ok(None)
                }
                status => Ok(Some((status, serde_json::from_str(&body).unwrap_or_default()))),
            }
        })
        .await
    }

    /// Lets the sweeper see every marker as old, until it has left none; then stops the server and
    /// has the checker judge the folder.
    pub(crate) async fn judge(&self, server: &mut Embedded) -> Result {
        server.stop().await?;
        wait::until_true("a folder without a fault", Duration::from_secs(30), async || {
            alter(&server.data, "age")?;
            server.restart().await?;
            let swept = wait::until_true("the markers to go", Duration::from_secs(5), async || {
                Ok(alter(&server.data, "markers")?.trim() == "0")
            });
            let swept = swept.await;
            server.stop().await?;
            swept?;
            eprint!("{}", self.check(&server.data)?);
            Ok(true)
        })
        .await
    }

    /// What the checker says of a folder; an error where it finds a fault.
    pub(crate) fn check(&self, data: &Path) -> Result<String> {
        output_of(python("check.py").arg(data).arg(&self.path).arg("--swept"), None)
    }
}

/// Alters a stopped server's folder, or asks for something in it.
pub(crate) fn alter(data: &Path, what: &str) -> Result<String> {
    output_of(python("alter.py").arg(data).arg(what), None)
}

/// A program of `tests/checker`.
pub(crate) fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(checker().join(name));
    command
}

fn checker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checker")
}
