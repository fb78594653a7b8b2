//! Which pages may use the API in a browser, from other origins than its own. None, unless the
//! operator names them. Credentials of the browser's own (cookies) are never allowed: whoever asks
//! says who they are by the header Authorization.

use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN, VARY,
    },
};
use reqwest::Url;
use std::str::FromStr;
use warp::reply::{Reply, Response};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What a page may send; Content-Disposition names an upload's file.
const SENT: HeaderValue = HeaderValue::from_static(
    "authorization, content-disposition, content-type, idempotency-key, if-none-match, if-range, range, x-request-id",
);
/// What a page may read, besides what every page may.
const READ: HeaderValue = HeaderValue::from_static(
    "content-disposition, content-range, etag, location, retry-after, x-request-id",
);
/// How long a browser remembers the answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages are let in: as `https://app.example.org`, with commas between them, or
/// `*` for all.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

/// The text is not a list of origins.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not an origin as browsers send it: https://app.example.org, without a path, in lower case, with a port only where it is not the usual one"
)]
pub struct BadOrigin(String);

impl FromStr for Origins {
    type Err = BadOrigin;

    fn from_str(list: &str) -> Result<Self, BadOrigin> {
        let origins = list.split(',').map(str::trim).map(|text| {
            let is_origin = |url: Url| url.origin().ascii_serialization() == text;
            let fits = text == "*" || Url::parse(text).is_ok_and(is_origin);
            if fits { Ok(text.to_owned()) } else { Err(BadOrigin(text.to_owned())) }
        });
        origins.collect::<Result<_, _>>().map(Self)
    }
}

impl Origins {
    /// The origin of a request, as its answer names it, if its page may use the API.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if self.0.iter().any(|known| known == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.0.iter().any(|known| origin == known.as_str()).then(|| origin.clone())
    }

    /// Tells the browser whether the page may read this answer.
    pub(crate) fn mark(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if !self.0.is_empty() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        }
    }
}

/// Whether a browser asks before it sends the request itself.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that. It says nothing of the address, which need not exist.
pub(crate) fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_as_browsers_send_them_are_taken() {
        for good in ["*", "https://app.example.org", "http://localhost:3000, https://a.b"] {
            assert!(good.parse::<Origins>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "app.example.org",
            "https://a.b/",
            "https://A.b",
            "https://a.b:443",
            "null",
            "file:///x",
        ] {
            assert!(bad.parse::<Origins>().is_err(), "{bad}");
        }
    }
}
