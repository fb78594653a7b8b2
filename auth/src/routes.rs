//! From a request to its answer: one list of paths with their methods, so that an unknown path is
//! 404 and a known one with another method is 405, and one flat match.

use crate::{
    caller,
    config::Registration,
    database::Database,
    delay::Delays,
    gate::Gate,
    keys::{self, Keys},
    login,
    problem::Refusal,
    request::{LARGEST_BODY, Request},
    tokens, users,
};
use domain::UserName;
use headers::{ContentLength, HeaderMapExt};
use percent_encoding::percent_decode_str;
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use warp::{
    Buf, Filter, Reply, Stream,
    http::{HeaderMap, Method, header},
    path::FullPath,
    reply::{Response, with_header},
};

/// What the answers are made from.
pub(crate) struct Service {
    pub(crate) database: Database,
    pub(crate) gate: Gate,
    pub(crate) keys: Keys,
    pub(crate) delays: Delays,
    pub(crate) registration: Registration,
    pub(crate) token_lifetime: Duration,
}

type Query = Vec<(String, String)>;

/// The service as a warp filter. It never rejects.
pub(crate) fn routes(
    service: Arc<Service>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let service = warp::any().map(move || Arc::clone(&service));
    // Text that is no query says nothing.
    let query = warp::query::<Query>().or(warp::any().map(Query::new)).unify();
    let head = warp::method().and(warp::path::full()).and(warp::header::headers_cloned());
    let answered = service.and(head).and(query).and(warp::body::stream()).then(receive);
    answered.recover(async |_| Ok::<_, Infallible>(Refusal::NotFound.into_response())).unify()
}

// A closure would leave the body's type open.
async fn receive<S, B>(
    service: Arc<Service>,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    query: Query,
    body: S,
) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    if headers.typed_get().is_some_and(|ContentLength(bytes)| bytes > LARGEST_BODY as u64) {
        return Refusal::TooLarge.into_response();
    }
    let began = Instant::now();
    let request = Request::new(headers, query, body);
    let answer = answer(&service, &method, path.as_str(), request).await;
    let answer = answer.unwrap_or_else(Reply::into_response);
    count(path.as_str(), answer.status().as_u16(), began.elapsed());
    answer
}

/// Counts a request by its route, in which no name and no id stands.
fn count(path: &str, status: u16, took: Duration) {
    let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let route = match path[..] {
        ["login"] => "/login",
        ["validate"] => "/validate",
        ["revocations"] => "/revocations",
        ["healthz"] => "/healthz",
        [".well-known", "jwks.json"] => "/.well-known/jwks.json",
        ["v1", "keys"] => "/v1/keys",
        ["v1", "users", ..] => "/v1/users",
        ["v1", "tokens", ..] => "/v1/tokens",
        _ => "other",
    };
    let status = format!("{}xx", status / 100);
    metrics::counter!("audio_converter_auth_requests_total", "route" => route, "status" => status)
        .increment(1);
    metrics::histogram!("audio_converter_auth_request_seconds", "route" => route)
        .record(took.as_secs_f64());
}

/// The methods that a path takes, if it is one of ours.
fn methods(path: &[&str]) -> Option<&'static str> {
    Some(match path {
        ["login" | "validate"] | ["v1", "keys"] => "POST",
        ["healthz" | "revocations"] | [".well-known", "jwks.json"] => "GET, HEAD",
        ["v1", "users" | "tokens"] => "GET, HEAD, POST",
        ["v1", "users", _] => "DELETE, GET, HEAD, PATCH",
        ["v1", "users", _, "password"] => "PUT",
        ["v1", "tokens", _] => "DELETE",
        _ => return None,
    })
}

async fn answer(
    service: &Arc<Service>,
    method: &Method,
    path: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let allowed = methods(&path).ok_or(Refusal::NotFound)?;
    if !allowed.split(", ").any(|allowed| allowed == method.as_str()) {
        return Err(Refusal::Method(allowed));
    }
    match (path.as_slice(), method.as_str()) {
        (["login"], _) => login::login(service, &request.headers).await,
        (["validate"], _) => caller::validate(service, &request.headers).await,
        (["revocations"], _) => caller::revocations(service).await,
        (["healthz"], _) => Ok("ok".into_response()),
        ([".well-known", _], _) => Ok(jwks(service).await),
        (["v1", "keys"], _) => keys::rotate(service, request).await,
        (["v1", "users"], "POST") => users::create(service, request).await,
        (["v1", "users"], _) => users::list(service, request).await,
        (["v1", "users", user], "PATCH") => users::patch(service, &name(user)?, request).await,
        (["v1", "users", user], "DELETE") => users::delete(service, &name(user)?, request).await,
        (["v1", "users", user], _) => users::get(service, &name(user)?, request).await,
        (["v1", "users", user, _], _) => users::password(service, &name(user)?, request).await,
        (["v1", "tokens"], "POST") => tokens::create(service, request).await,
        (["v1", "tokens"], _) => tokens::list(service, request).await,
        (["v1", "tokens", id], _) => tokens::delete(service, id, request).await,
        _ => Err(Refusal::NotFound),
    }
}

/// The name in a path; text that is no name names nobody.
fn name(encoded: &str) -> Result<UserName, Refusal> {
    let name = percent_decode_str(encoded).decode_utf8().map_err(|_| Refusal::NotFound)?;
    name.parse().map_err(|_| Refusal::NotFound)
}

async fn jwks(service: &Service) -> Response {
    let answer = with_header(service.keys.jwks().await, header::CONTENT_TYPE, "application/json");
    with_header(answer, header::CACHE_CONTROL, "public, max-age=300").into_response()
}
