//! The HTTP API from the client's side (docs/api.md): signing in, uploading, asking, downloading.
//!
//! What must hold: no video or MP3 is ever whole in memory, and a request is repeated only when that
//! is harmless: every upload carries a key by which the server knows it again.

mod answer;
mod error;
mod patience;

pub(crate) use answer::{Account, ApiToken, Conversion, List, Me, Mp3};
pub(crate) use error::{Error, name};
pub(crate) use patience::{Patience, patiently};

use crate::config::Credentials;
use bytes::Bytes;
use domain::{ConversionId, Options};
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// A client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
    credentials: Option<Credentials>,
    token: Option<SecretString>,
}

/// One upload.
pub(crate) struct Upload<'a> {
    /// What the video is called.
    pub(crate) name: &'a str,
    /// How to convert it.
    pub(crate) options: &'a Options,
    /// The same for every repetition of this upload.
    pub(crate) key: &'a str,
    /// Bytes in all.
    pub(crate) length: u64,
}

/// A conversion as it is, or that it is as it was.
pub(crate) enum Look {
    /// What is new, and the tag by which the server knows it again, where it has tags.
    New(Box<Conversion>, Option<String>),
    /// Nothing.
    Same,
}

/// For an answer without a file in it.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Without any byte from the other side.
const SILENCE: Duration = Duration::from_secs(60);
/// What the server may take to tell of something new.
const WAIT_SECONDS: u64 = 30;

impl Client {
    /// Signs in, or takes the token that there is, or goes on as nobody.
    pub(crate) async fn sign_in(
        server: Url,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let http = http(&server)?;
        let mut client = Self { http, server, credentials: credentials.clone(), token: None };
        client.token = match credentials {
            None => None,
            Some(Credentials::Token(token) | Credentials::Stored(token)) => Some(token),
            Some(Credentials::Account { user, password }) => {
                let url = at(&client.server, &["login"]);
                let request =
                    client.http.post(url).basic_auth(user, Some(password.expose_secret()));
                let answer = client.answered(request.timeout(ANSWER_TIME)).await?;
                let token = answer.text().await;
                let token = token.map_err(|cause| Error::unreachable(&client.server, &cause))?;
                Some(token.trim().into())
            }
        };
        Ok(client)
    }

    /// The token that requests carry.
    pub(crate) const fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Whether the requests come from the login that this machine remembers.
    pub(crate) const fn is_stored(&self) -> bool {
        matches!(self.credentials, Some(Credentials::Stored(_)))
    }

    /// The server's address.
    pub(crate) const fn server(&self) -> &Url {
        &self.server
    }

    /// Reads; tries again where that may help.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        let mut url = at(&self.server, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let ask = async || self.read(self.http.get(url.clone()).timeout(ANSWER_TIME)).await;
        patiently(Patience::Short, |_, _| {}, ask).await
    }

    /// Makes something, once: under the same `key` the server does it once however often it is asked.
    pub(crate) async fn post_once<T: DeserializeOwned>(
        &self,
        path: &[&str],
        key: &str,
    ) -> Result<T, Error> {
        let url = at(&self.server, path);
        let ask = async || {
            let request = self.http.post(url.clone()).header("Idempotency-Key", key);
            self.read(request.timeout(ANSWER_TIME)).await
        };
        patiently(Patience::Short, |_, _| {}, ask).await
    }

    /// Posts what comes to the same however often it is said; tries again where that may help.
    pub(crate) async fn repeat<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let ask = async || self.change(Method::POST, path, body).await;
        patiently(Patience::Short, |_, _| {}, ask).await
    }

    /// Changes something, where a repetition might do harm; null where the server says only yes.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let mut request = self.http.request(method, at(&self.server, path)).timeout(ANSWER_TIME);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.read(request).await
    }

    /// Uploads a video and asks for its conversion.
    pub(crate) async fn upload(
        &self,
        upload: &Upload<'_>,
        video: Body,
    ) -> Result<Conversion, Error> {
        let mut url = at(&self.server, &["v1", "videos"]);
        url.query_pairs_mut().append_pair("name", upload.name).extend_pairs(upload.options.said());
        let request = self
            .http
            .post(url)
            .header("Idempotency-Key", upload.key)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, upload.length)
            .body(video);
        // No limit on the whole: a film over a slow line takes hours. A dead line ends in the kernel.
        self.read(request).await
    }

    /// One conversion.
    pub(crate) async fn conversion(&self, id: ConversionId) -> Result<Conversion, Error> {
        self.get(&["v1", "conversions", &id.to_string()], &[]).await
    }

    /// One conversion as soon as it differs from what `tag` stands for; a while later where it
    /// does not. A server without tags answers at once.
    pub(crate) async fn look(&self, id: ConversionId, tag: Option<&str>) -> Result<Look, Error> {
        let mut url = at(&self.server, &["v1", "conversions", &id.to_string()]);
        let mut limit = ANSWER_TIME;
        if tag.is_some() {
            url.query_pairs_mut().append_pair("wait", &WAIT_SECONDS.to_string());
            limit += Duration::from_secs(WAIT_SECONDS);
        }
        let request = self.http.get(url).timeout(limit);
        let request = tag.into_iter().fold(request, |asked, tag| asked.header(IF_NONE_MATCH, tag));
        let answer = self.answered(request).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(Look::Same);
        }
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Look::New(Box::new(self.parsed(answer).await?), tag))
    }

    /// The MP3 of a conversion, as an answer whose body is still to come.
    pub(crate) async fn mp3(&self, id: ConversionId) -> Result<Response, Error> {
        let url = at(&self.server, &["v1", "conversions", &id.to_string(), "mp3"]);
        let request = self.answered(self.http.get(url));
        timeout(SILENCE, request).await.unwrap_or_else(|_| Err(Error::silent(&self.server)))
    }

    /// Some more of a body; none at its end.
    pub(crate) async fn more(&self, answer: &mut Response) -> Result<Option<Bytes>, Error> {
        match timeout(SILENCE, answer.chunk()).await {
            Ok(more) => more.map_err(|cause| Error::unreachable(&self.server, &cause)),
            Err(_) => Err(Error::silent(&self.server)),
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let answer = self.answered(request).await?;
        self.parsed(answer).await
    }

    async fn parsed<T: DeserializeOwned>(&self, answer: Response) -> Result<T, Error> {
        let bytes =
            answer.bytes().await.map_err(|cause| Error::unreachable(&self.server, &cause))?;
        let json = if bytes.is_empty() { b"null" } else { bytes.as_ref() };
        serde_json::from_slice(json).map_err(|cause| Error::Strange {
            server: error::name(&self.server),
            cause: cause.to_string(),
        })
    }

    async fn answered(&self, mut request: RequestBuilder) -> Result<Response, Error> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer =
            request.send().await.map_err(|cause| Error::unreachable(&self.server, &cause))?;
        let fine = answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED;
        if fine {
            return Ok(answer);
        }
        Err(Error::refused(&self.server, self.credentials.as_ref(), answer).await)
    }
}

fn http(server: &Url) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_user_timeout(SILENCE);
    // A proxy from the environment cannot reach this machine's own loopback.
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|cause| Error::unreachable(server, &cause))
}

/// Whether the address is this machine's own.
pub(crate) fn is_loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The server's address with a path behind it; a server may stand below a path of its own.
fn at(server: &Url, path: &[&str]) -> Url {
    let mut url = server.clone();
    url.set_query(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_stand_below_a_path() {
        let below: Url = "https://example.org/audio/".parse().unwrap();
        assert_eq!(at(&below, &["v1", "videos"]).as_str(), "https://example.org/audio/v1/videos");
        let root: Url = "http://localhost:8080".parse().unwrap();
        assert_eq!(at(&root, &["login"]).as_str(), "http://localhost:8080/login");
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        for (url, loopback) in [
            ("http://localhost:1", true),
            ("http://127.0.0.3", true),
            ("http://[::1]:8080", true),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), loopback, "{url}");
        }
    }
}
