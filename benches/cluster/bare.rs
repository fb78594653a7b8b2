//! The bare client: plain HTTP requests to the API server, and nothing else.

use super::place::kubectl;
use crate::Result;
use anyhow::{Context, bail};
use futures::StreamExt;
use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, time::timeout};

const PATIENCE: Duration = Duration::from_secs(120);

/// The Jobs of one namespace.
#[derive(Clone)]
pub(crate) struct Bare {
    client: Client,
    url: String,
    token: String,
}

/// A change of a Job, and when it was heard of.
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) kind: String,
    pub(crate) job: Value,
}

/// Every change of every Job, from now on.
pub(crate) struct Watch {
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Bare {
    /// With a token of the namespace's own, so that any way to sign in to the cluster will do.
    pub(crate) fn open(namespace: &str) -> Result<Self> {
        let of_config = |what: &str| {
            let template = format!("go-template={{{{range .clusters}}}}{what}{{{{end}}}}");
            kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", &template])
        };
        let account = format!("--serviceaccount={namespace}:bare");
        kubectl(&["-n", namespace, "create", "serviceaccount", "bare"])?;
        kubectl(&[
            "-n",
            namespace,
            "create",
            "rolebinding",
            "bare",
            "--clusterrole=admin",
            &account,
        ])?;
        let token = kubectl(&["-n", namespace, "create", "token", "bare"])?;
        let ca = of_config(r#"{{index .cluster "certificate-authority-data" | base64decode}}"#)?;
        let ca = Certificate::from_pem(ca.as_bytes())?;
        let server = of_config("{{.cluster.server}}")?;
        let client = Client::builder().tls_certs_only([ca]).build()?;
        let url = format!("{}/apis/batch/v1/namespaces/{namespace}/jobs", server.trim());
        Ok(Self { client, url, token: token.trim().to_owned() })
    }

    /// POSTs a Job.
    pub(crate) async fn create(&self, job: &Value) -> Result {
        let asked = self.client.post(&self.url).bearer_auth(&self.token).json(job);
        answer(asked.send().await?).await.map(drop)
    }

    /// Deletes all Jobs and waits until they are gone.
    pub(crate) async fn clear(&self) -> Result {
        let url = format!("{}?propagationPolicy=Background", self.url);
        answer(self.client.delete(url).bearer_auth(&self.token).send().await?).await?;
        timeout(PATIENCE, async {
            loop {
                let list = self.client.get(&self.url).bearer_auth(&self.token).send().await?;
                if answer(list).await?["items"].as_array().is_some_and(Vec::is_empty) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await
        .context("the Jobs do not go away")?
    }

    /// Starts to watch.
    pub(crate) async fn watch(&self) -> Result<Watch> {
        let list = self.client.get(&self.url).bearer_auth(&self.token).send().await?;
        let list = answer(list).await?;
        let version = list["metadata"]["resourceVersion"].as_str().context("a version")?;
        let url = format!("{}?watch=true&resourceVersion={version}", self.url);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await?;
        let mut parts = answer.error_for_status()?.bytes_stream();
        let (send, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut line = Vec::new();
            while let Some(Ok(part)) = parts.next().await {
                let at = Instant::now();
                line.extend_from_slice(&part);
                while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                    let whole: Vec<u8> = line.drain(..=end).collect();
                    let Ok(mut event) = serde_json::from_slice::<Value>(&whole) else { return };
                    let kind = event["type"].as_str().unwrap_or_default().to_owned();
                    if send.send(Seen { at, kind, job: event["object"].take() }).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Watch { seen })
    }
}

async fn answer(answer: Response) -> Result<Value> {
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        bail!("the API server answers {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(serde_json::from_slice(&body)?)
}

impl Watch {
    /// The next change.
    pub(crate) async fn next(&mut self) -> Result<Seen> {
        let next = timeout(PATIENCE, self.seen.recv()).await.context("nothing changes")?;
        next.context("the watch has ended")
    }

    /// The next one that is wanted; what comes before it is dropped.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) -> Result<Seen> {
        loop {
            let seen = self.next().await?;
            if wanted(&seen) {
                return Ok(seen);
            }
        }
    }

    /// The creation of the next Job, or of the one of this name.
    pub(crate) async fn created(&mut self, name: Option<&str>) -> Result<Seen> {
        self.until(|seen| seen.kind == "ADDED" && name.is_none_or(|name| seen.name() == name)).await
    }

    /// When so many have been created: the first and the last time.
    pub(crate) async fn all_created(&mut self, count: usize) -> Result<(Instant, Instant)> {
        let first = self.created(None).await?.at;
        let mut last = first;
        for _ in 1..count {
            last = self.created(None).await?.at;
        }
        Ok((first, last))
    }
}

impl Seen {
    pub(crate) fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_complete(&self) -> bool {
        let conditions = self.job["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Complete" && it["status"] == "True")
    }
}

/// A Job like the one that the dispatcher made, under another name and with these variables changed.
/// Its labels are not the dispatcher's, which does not see it.
pub(crate) fn like(job: &Value, name: &str, variables: &[(&str, &str)]) -> Value {
    let mut spec = job["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("selector");
    }
    spec["template"]["metadata"] = json!({
        "annotations": job["spec"]["template"]["metadata"]["annotations"],
        "labels": { "app.kubernetes.io/managed-by": "bare" },
    });
    let all = spec["template"]["spec"]["containers"][0]["env"].as_array_mut();
    for variable in all.into_iter().flatten() {
        for (name, value) in variables {
            if variable["name"] == **name {
                variable["value"] = json!(value);
            }
        }
    }
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": job["metadata"]["annotations"],
            "labels": { "app.kubernetes.io/managed-by": "bare" },
        },
        "spec": spec,
    })
}
