//! `/v1/users`, `/v1/tokens` and `/v1/keys`: auth's own resources. The gateway hands the request on,
//! bounded, and the answer back; who may do what is auth's to say.

use super::{answer, client, head, unread, videos};
use crate::{
    auth,
    body::{self, Body},
    client::{CLIENT_ADDRESS, Client},
    context::Context,
    error::Error,
};
use domain::{Role, UserName};
use http::{
    HeaderMap, Method, StatusCode,
    header::{
        ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use storage::Page;
use warp::{Filter, Reply, filters::BoxedFilter, path::FullPath, reply::Response};

/// Longest body that is handed on, in bytes.
const LONGEST_REQUEST: u64 = 16 * 1024;
/// Longest answer that is handed back, in bytes; a page of a hundred accounts takes half of it.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The head of a request that auth is to answer.
pub(super) struct Asked {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    client: Client,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let get_or_post = warp::get().or(warp::post()).unify();
    let users = warp::path!("v1" / "users").and(get_or_post);
    let user = warp::path!("v1" / "users" / String).map(drop).untuple_one();
    let user = user.and(warp::get().or(warp::patch()).unify());
    let password = warp::path!("v1" / "users" / String / "password").map(drop).untuple_one();
    let password = password.and(warp::put());
    let tokens = warp::path!("v1" / "tokens").and(get_or_post);
    let token = warp::path!("v1" / "tokens" / String).map(drop).untuple_one();
    let token = token.and(warp::delete());
    let keys = warp::path!("v1" / "keys").and(warp::post());
    let all = users.or(user).unify().or(password).unify().or(tokens).unify();
    let all = all.or(token).unify().or(keys).unify();
    let all = all.and(asked(context)).and(unread()).then(hand_on).map(answer);
    let delete = warp::path!("v1" / "users" / String).and(warp::delete()).and(asked(context));
    all.or(delete.then(delete_user).map(answer)).unify().boxed()
}

/// The context, and everything but the body.
fn asked(context: &Arc<Context>) -> BoxedFilter<(Arc<Context>, Asked)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let parts = warp::method().and(warp::path::full()).and(query).and(client());
    head(context)
        .and(parts)
        .map(|context, headers, method, path, query, client| {
            (context, Asked { method, path, query, headers, client })
        })
        .untuple_one()
        .boxed()
}

async fn hand_on(context: Arc<Context>, asked: Asked, body: Body) -> Result<Response, Error> {
    let body = body::short(body, LONGEST_REQUEST).await?;
    forward(&context, asked, body).await
}

/// Deletes an account and all of its videos. The account goes first: from then on nothing can be
/// added. Where the rest is broken off an administrator's same request goes on with it, although auth
/// then knows no such account.
async fn delete_user(name: String, context: Arc<Context>, asked: Asked) -> Result<Response, Error> {
    let name = percent_decode_str(&name).decode_utf8().map_err(|_| Error::NotFound)?;
    let user: UserName = name.parse().map_err(|_| Error::NotFound)?;
    let identity = context.verifier.identify(&asked.headers).await?;
    let deleted = forward(&context, asked, Vec::new()).await?;
    let gone = deleted.status() == StatusCode::NOT_FOUND && identity.role == Role::Admin;
    if deleted.status().is_success() || gone {
        context.to_the_end(delete_all(context.clone(), user)).await?;
    }
    Ok(deleted)
}

async fn delete_all(context: Arc<Context>, user: UserName) -> Result<(), Error> {
    let page = Page { before: None, from: None, limit: 100 };
    loop {
        let videos = context.storage.videos(&user, &page).await?;
        if videos.is_empty() {
            return Ok(());
        }
        for video in videos {
            videos::delete(context.clone(), video).await?;
        }
    }
}

/// Auth's answer to this request.
///
/// # Errors
/// `NotFound` for an address that could mean another one to auth; `Unavailable` while auth is away.
async fn forward(context: &Context, asked: Asked, body: Vec<u8>) -> Result<Response, Error> {
    let path = asked.path.as_str();
    if !path.split('/').skip(1).all(is_plain) {
        return Err(Error::NotFound);
    }
    let mut request = context.auth.request(asked.method, path, &asked.query).body(body);
    for name in [AUTHORIZATION, CONTENT_TYPE] {
        for value in asked.headers.get_all(&name) {
            request = request.header(&name, value);
        }
    }
    if let Some(address) = asked.client.header() {
        request = request.header(CLIENT_ADDRESS, address);
    }
    let reply = auth::send(request).await?;
    let (status, mut headers) = (reply.status(), HeaderMap::new());
    for name in [CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE, ALLOW, CACHE_CONTROL] {
        headers.extend(reply.headers().get(&name).map(|value| (name, value.clone())));
    }
    let mut response = auth::short(reply, LONGEST_ANSWER).await?.into_response();
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Whether a segment of a path is one segment to everybody who reads it, decoded or not.
fn is_plain(segment: &str) -> bool {
    percent_decode_str(segment).decode_utf8().is_ok_and(|text| {
        !text.is_empty()
            && text != "."
            && text != ".."
            && !text.chars().any(|c| c == '/' || c == '\\' || c.is_control())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_could_lead_elsewhere_is_refused() {
        for good in ["ada", "J%C3%BCrgen", "a%20b", "...", "%2e%2e%2e", "a%25b"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", ".", "..", "%2e%2e", ".%2E", "a%2fb", "a%5Cb", "%00", "%ff", "a%0d%0ab"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
