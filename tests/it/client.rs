//! A user of the HTTP API.

use crate::{Result, clips::Clip, wait};
use anyhow::{Context, ensure};
use futures::{StreamExt, stream};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::oneshot;

/// Long enough for any conversion here on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// Somebody who has signed in.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Where the gateway is.
    pub(crate) url: String,
    token: String,
}

impl Client {
    /// Signs in.
    pub(crate) async fn sign_in(url: &str, name: &str, password: &str) -> Result<Self> {
        let http = reqwest::Client::new();
        let answer =
            http.post(format!("{url}/login")).basic_auth(name, Some(password)).send().await?;
        let status = answer.status();
        let token = answer.text().await?;
        ensure!(status.is_success(), "sign in as {name}: {status} {token}");
        Ok(Self { http, url: url.to_owned(), token })
    }

    /// The same user with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.request(Method::GET, path).send().await?)
    }

    /// Uploads bytes; the answer whatever it is.
    pub(crate) async fn post_video(
        &self,
        name: &str,
        body: impl Into<Body>,
        key: &str,
    ) -> Result<Response> {
        let path = format!("/v1/videos?name={}", urlencode(name));
        Ok(self
            .request(Method::POST, &path)
            .header("Idempotency-Key", key)
            .body(body)
            .send()
            .await?)
    }

    /// Uploads a clip as the command line does: the same key until there is an answer. Returns the
    /// conversion's id.
    pub(crate) async fn upload(&self, clip: &Clip) -> Result<String> {
        let bytes = std::fs::read(&clip.path)?;
        let name = clip.path.file_name().and_then(|name| name.to_str()).context("a name")?;
        let key = uuid::Uuid::now_v7().to_string();
        wait::until("an upload to be accepted", LONG, async || {
            let answer = self.post_video(name, bytes.clone(), &key).await?;
            match answer.status() {
                StatusCode::SERVICE_UNAVAILABLE => Ok(None),
                StatusCode::ACCEPTED => {
                    let record: Value = answer.json().await?;
                    Ok(record["id"].as_str().map(str::to_owned))
                }
                status => anyhow::bail!("{status} {}", answer.text().await?),
            }
        })
        .await
    }

    /// The conversion.
    pub(crate) async fn conversion(&self, id: &str) -> Result<Value> {
        let answer = self.get(&format!("/v1/conversions/{id}")).await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "conversion {id}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Waits until an attempt is in the middle of its work.
    pub(crate) async fn at_work(&self, id: &str) -> Result {
        wait::until_true(&format!("conversion {id} to be at work"), LONG, async || {
            let record = self.conversion(id).await?;
            Ok(record["state"] == "running" && record["progress"].is_number())
        })
        .await
    }

    /// The conversion once it is final.
    pub(crate) async fn finished(&self, id: &str) -> Result<Value> {
        wait::until(&format!("conversion {id} to end"), LONG, async || {
            let record = self.conversion(id).await?;
            let state = record["state"].as_str().unwrap_or_default();
            Ok(["succeeded", "failed", "cancelled"].contains(&state).then_some(record))
        })
        .await
    }

    /// The MP3 of a conversion that must succeed.
    pub(crate) async fn mp3(&self, id: &str) -> Result<Vec<u8>> {
        let record = self.finished(id).await?;
        ensure!(record["state"] == "succeeded", "{record}");
        // As any client does when a download breaks off.
        wait::until(&format!("the MP3 of {id} to come whole"), LONG, async || {
            let answer = self.get(&format!("/v1/conversions/{id}/mp3")).await?;
            ensure!(answer.status() == StatusCode::OK, "mp3 of {id}: {}", answer.status());
            let bytes = answer.bytes().await?.to_vec();
            ensure!(record["mp3"]["length"] == bytes.len() as u64, "length of {id}");
            Ok(Some(bytes))
        })
        .await
    }

    /// Uploads bytes that cannot be converted and returns the reason's code.
    pub(crate) async fn failure_of(&self, name: &str, bytes: Vec<u8>) -> Result<String> {
        let answer = self.post_video(name, bytes, &uuid::Uuid::now_v7().to_string()).await?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "{name}: {}", answer.status());
        let record: Value = answer.json().await?;
        let record = self.finished(record["id"].as_str().context("an id")?).await?;
        ensure!(record["state"] == "failed", "{name}: {record}");
        Ok(record["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A body of which the second half is sent when it is asked for; then whether it could be.
pub(crate) fn in_two_halves(bytes: &[u8]) -> (Body, impl FnOnce() -> bool + use<>) {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let (first, rest) = (first.to_vec(), rest.to_vec());
    let (sender, receiver) = oneshot::channel();
    let body = stream::iter([Ok(first)]).chain(stream::once(receiver));
    (Body::wrap_stream(body), move || sender.send(rest).is_ok())
}

fn urlencode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
