//! Auth as the gateway meets it: an HTTP service at one address. Whoever asks it here gets a bounded
//! answer in bounded time, or is told that auth is away.

use crate::error::Error;
use http::Method;
use reqwest::{Client, RequestBuilder, Response, Url};
use std::time::Duration;

/// Longest wait for any answer: a password takes auth some hundred milliseconds, more in a queue.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The one client that speaks with auth, and with nobody else.
#[derive(Clone)]
pub(crate) struct Auth {
    client: Client,
    url: Url,
}

impl Auth {
    /// Nothing is asked yet: auth may start later than the gateway.
    pub(crate) fn new(url: Url) -> Result<Self, reqwest::Error> {
        // Nothing but config.rs reads the environment, so no proxy is taken from it.
        let client = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { client, url })
    }

    /// A request to this path, which is percent-encoded already, with this query or an empty one.
    pub(crate) fn request(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.client.request(method, url)
    }
}

/// Auth's answer, whatever it says.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, Error> {
    request.send().await.map_err(away)
}

/// The body of an answer, which must not be longer than `limit` bytes.
pub(crate) async fn short(mut answer: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > limit {
            return Err(Error::Unavailable(format!("auth's answer is over {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn away(error: reqwest::Error) -> Error {
    // The cause stands behind: "error sending request" alone helps nobody.
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    Error::Unavailable(format!("auth: {error}: {cause}"))
}
