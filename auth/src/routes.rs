//! From a request to its answer: one flat match, so that an unknown path is 404 and a known one
//! with another method is 405. Bodies are never read, so their size costs nothing.

use crate::{database::Database, gate::Gate, login, problem, token::Keyring, validate};
use headers::{ContentLength, HeaderMapExt};
use std::{convert::Infallible, sync::Arc, time::Duration};
use warp::{
    Filter, Reply,
    http::{HeaderMap, Method, header},
    path::FullPath,
    reply::{Response, with_header},
};

/// Some clients send an empty form along; beyond this nobody means well.
const LARGEST_BODY: u64 = 16 * 1024;

/// What the answers are made from.
pub(crate) struct Service {
    pub(crate) database: Database,
    pub(crate) gate: Gate,
    pub(crate) keyring: Keyring,
    pub(crate) token_lifetime: Duration,
}

/// The service as a warp filter. It never rejects.
pub(crate) fn routes(
    service: Arc<Service>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    warp::method().and(warp::path::full()).and(warp::header::headers_cloned()).then(
        move |method, path: FullPath, headers| {
            let service = Arc::clone(&service);
            async move { answer(&service, &method, path.as_str(), &headers).await }
        },
    )
}

async fn answer(service: &Service, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if headers.typed_get().is_some_and(|ContentLength(bytes)| bytes > LARGEST_BODY) {
        return problem::body_too_large();
    }
    match (path, method) {
        ("/login", &Method::POST) => login::login(service, headers).await,
        ("/validate", &Method::POST) => validate::validate(service, headers),
        ("/login" | "/validate", _) => problem::method_not_allowed("POST"),
        ("/.well-known/jwks.json", &Method::GET | &Method::HEAD) => jwks(service),
        ("/healthz", &Method::GET | &Method::HEAD) => "ok".into_response(),
        ("/.well-known/jwks.json" | "/healthz", _) => problem::method_not_allowed("GET, HEAD"),
        _ => problem::not_found(),
    }
}

fn jwks(service: &Service) -> Response {
    let keys = service.keyring.jwks().to_owned();
    let answer = with_header(keys, header::CONTENT_TYPE, "application/json");
    with_header(answer, header::CACHE_CONTROL, "public, max-age=300").into_response()
}
