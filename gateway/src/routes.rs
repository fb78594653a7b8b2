//! The addresses of the API. Each resource has its file; here stands what all of them share.

mod accounts;
mod batches;
mod beside;
mod conversions;
pub(crate) mod count;
mod dispatching;
mod docs;
mod letters;
mod login;
mod me;
mod mp3;
mod openapi;
mod original;
mod videos;

use crate::{
    body::{self, Body},
    client::Client,
    context::Context,
    error::Error,
};
use headers::{ETag, HeaderMapExt};
use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
use std::{convert::Infallible, sync::Arc};
use warp::{
    Filter, Rejection, Reply,
    filters::BoxedFilter,
    reject::{InvalidQuery, MethodNotAllowed},
    reply::Response,
};

/// Every address, and a problem for every other one.
pub(crate) fn all(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    health()
        .or(docs::routes())
        .unify()
        .or(login::routes(context))
        .unify()
        .or(me::routes(context))
        .unify()
        .or(accounts::routes(context))
        .unify()
        .or(videos::routes(context))
        .unify()
        .or(conversions::routes(context))
        .unify()
        .or(mp3::routes(context))
        .unify()
        .or(beside::routes(context))
        .unify()
        .or(batches::routes(context))
        .unify()
        .or(dispatching::routes(context))
        .unify()
        .or(original::routes(context))
        .unify()
        .or(letters::routes(context))
        .unify()
        .recover(problem)
        .unify()
        .boxed()
}

/// The methods that an address takes.
pub(crate) fn methods(path: &str) -> &'static str {
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    match segments[..] {
        ["login" | "upload"]
        | ["v1", "conversions", _, "cancel" | "retry"]
        | ["v1", "keys"]
        | ["v1", "batches", _, _]
        | ["v1", "dispatching", _] => "POST",
        ["v1", "videos", _] => "GET, DELETE",
        ["v1", "videos" | "conversions" | "users" | "tokens" | "batches"]
        | ["v1", "batches", "estimate"] => "GET, POST",
        ["v1", "users", _] => "GET, PATCH, DELETE",
        ["v1", "users", _, "password"] => "PUT",
        ["v1", "tokens" | "dead-letters", _] => "DELETE",
        ["v1", "dead-letters", _, "replay"] => "POST",
        ["download"] | ["v1", "conversions", _, "mp3"] => "GET, HEAD",
        _ => "GET",
    }
}

/// Whether the process serves. What it depends on is not asked: a restart would not mend that.
fn health() -> BoxedFilter<(Response,)> {
    let health = warp::path!("healthz").and(warp::get());
    health.map(|| "ok".into_response()).boxed()
}

/// What a handler needs of any request: the context and the head.
fn head(context: &Arc<Context>) -> BoxedFilter<(Arc<Context>, HeaderMap)> {
    let context = context.clone();
    let context = warp::any().map(move || context.clone());
    context.and(warp::header::headers_cloned()).boxed()
}

/// Whom the request comes from; `connection` puts it there.
fn client() -> BoxedFilter<(Client,)> {
    warp::ext::get::<Client>().boxed()
}

/// The body, unread: nothing of it is asked for before the handler does.
fn unread() -> BoxedFilter<(Body,)> {
    warp::body::stream().map(body::from_warp).boxed()
}

/// An answer with its tag: it may be kept, but only by whoever may see it, and is asked for each time.
fn tagged(mut response: Response, tag: Option<ETag>) -> Response {
    let headers = response.headers_mut();
    if let Some(tag) = tag {
        headers.typed_insert(tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// A handler's result as the answer.
fn answer(result: Result<Response, Error>) -> Response {
    result.unwrap_or_else(Error::into_response)
}

/// Warp's own refusals as problems.
async fn problem(rejection: Rejection) -> Result<Response, Infallible> {
    let error = if rejection.is_not_found() {
        Error::NotFound
    } else if rejection.find::<InvalidQuery>().is_some() {
        Error::bad_request("the query cannot be read")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        Error::MethodNotAllowed
    } else {
        Error::Internal(format!("an unexpected rejection: {rejection:?}"))
    };
    Ok(error.into_response())
}
