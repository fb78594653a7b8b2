//! A request on its way in: its head, and its body as JSON. A body is read only by who wants it,
//! to 16 KiB and for ten seconds, so whatever is sent costs no more than that.

use crate::problem::Refusal;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;
use warp::{
    Buf, Reply, Stream,
    http::{HeaderMap, StatusCode, header},
    reply::{Response, json, with_header, with_status},
};

/// The largest body, in bytes.
pub(crate) const LARGEST_BODY: usize = 16 * 1024;
/// The longest wait for the whole of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the handlers get.
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    /// The pairs after the question mark.
    pub(crate) query: Vec<(String, String)>,
    body: BoxStream<'static, Result<Vec<u8>, ()>>,
}

impl Request {
    pub(crate) fn new<B: Buf>(
        headers: HeaderMap,
        query: Vec<(String, String)>,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Self {
        let bytes = |mut chunk: B| chunk.copy_to_bytes(chunk.remaining()).to_vec();
        let body = body.map(move |chunk| chunk.map(bytes).map_err(drop)).boxed();
        Self { headers, query, body }
    }

    /// The body: one JSON object with the fields of `T` and no others.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let given = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = given.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::NotJson);
        }
        let body = timeout(PATIENCE, self.body()).await.map_err(|_| Refusal::TooSlow)??;
        let unusable = |cause| Refusal::BadRequest(format!("The body is not usable: {cause}."));
        // A list of the fields' values would do for serde, but not for us.
        let object: Map<String, Value> = serde_json::from_slice(&body).map_err(unusable)?;
        serde_json::from_value(Value::Object(object)).map_err(unusable)
    }

    async fn body(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut whole = Vec::new();
        let gone = |()| Refusal::BadRequest("The body ended too early; send it again.".to_owned());
        while let Some(chunk) = self.body.try_next().await.map_err(gone)? {
            if whole.len() + chunk.len() > LARGEST_BODY {
                return Err(Refusal::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

/// An answer that nobody may keep a copy of: it is about accounts.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let answer = with_status(json(body), status);
    with_header(answer, header::CACHE_CONTROL, "no-store").into_response()
}
