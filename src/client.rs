//! The HTTP API from the client's side (docs/api.md): signing in, uploading, asking, downloading.
//!
//! What must hold: no video or MP3 is ever whole in memory, and a request is repeated only when that
//! is harmless: every upload carries a key by which the server knows it again.

mod answer;
mod error;
mod patience;

pub(crate) use answer::{Conversion, List, Mp3};
pub(crate) use error::Error;
pub(crate) use patience::{Patience, patiently};

use crate::config::Credentials;
use bytes::Bytes;
use domain::{ConversionId, Preset, State};
use reqwest::{
    Body, RequestBuilder, Response, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// A signed-in client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
    token: SecretString,
}

/// One upload.
pub(crate) struct Upload<'a> {
    /// What the video is called.
    pub(crate) name: &'a str,
    /// How to convert it.
    pub(crate) preset: Preset,
    /// The same for every repetition of this upload.
    pub(crate) key: &'a str,
    /// Bytes in all.
    pub(crate) length: u64,
}

/// For an answer without a file in it.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Without any byte from the other side.
const SILENCE: Duration = Duration::from_secs(60);

impl Client {
    /// Signs in, or takes the token that there is.
    pub(crate) async fn sign_in(
        server: Url,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        let http = http(&server)?;
        let token = match credentials {
            None => {
                return Err(Error::NotSignedIn(format!(
                    "{} wants to know who you are. Set AUDIO_CONVERTER_USER and \
                     AUDIO_CONVERTER_PASSWORD, or AUDIO_CONVERTER_TOKEN",
                    error::name(&server)
                )));
            }
            Some(Credentials::Token(token)) => token.clone(),
            Some(Credentials::Account { user, password }) => {
                let request = http
                    .post(at(&server, &["login"]))
                    .basic_auth(user, Some(password.expose_secret()));
                let answer = answered(&server, request.timeout(ANSWER_TIME)).await?;
                let token =
                    answer.text().await.map_err(|cause| Error::unreachable(&server, &cause))?;
                token.trim().into()
            }
        };
        Ok(Self { http, server, token })
    }

    /// The token that requests carry.
    pub(crate) const fn token(&self) -> &SecretString {
        &self.token
    }

    /// Uploads a video and asks for its conversion.
    pub(crate) async fn upload(
        &self,
        upload: &Upload<'_>,
        video: Body,
    ) -> Result<Conversion, Error> {
        let mut url = at(&self.server, &["v1", "videos"]);
        url.query_pairs_mut()
            .append_pair("name", upload.name)
            .append_pair("preset", upload.preset.name());
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
        let url = at(&self.server, &["v1", "conversions", &id.to_string()]);
        self.read(self.http.get(url).timeout(ANSWER_TIME)).await
    }

    /// The newest conversions, in one state or in any.
    pub(crate) async fn conversions(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<List, Error> {
        let mut url = at(&self.server, &["v1", "conversions"]);
        url.query_pairs_mut().append_pair("limit", &limit.to_string());
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", state.as_str());
        }
        self.read(self.http.get(url).timeout(ANSWER_TIME)).await
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
        let bytes =
            answer.bytes().await.map_err(|cause| Error::unreachable(&self.server, &cause))?;
        serde_json::from_slice(&bytes).map_err(|cause| Error::Strange {
            server: error::name(&self.server),
            cause: cause.to_string(),
        })
    }

    async fn answered(&self, request: RequestBuilder) -> Result<Response, Error> {
        answered(&self.server, request.bearer_auth(self.token.expose_secret())).await
    }
}

async fn answered(server: &Url, request: RequestBuilder) -> Result<Response, Error> {
    let answer = request.send().await.map_err(|cause| Error::unreachable(server, &cause))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(Error::refused(server, answer).await)
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
fn is_loopback(server: &Url) -> bool {
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
