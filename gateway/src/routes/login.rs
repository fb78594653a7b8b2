//! `POST /login`: HTTP Basic in, a token out. The gateway reads neither; auth does.

use super::{answer, client, head};
use crate::{
    auth,
    client::{CLIENT_ADDRESS, Client},
    context::Context,
    error::Error,
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use std::sync::Arc;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

/// Longest token that auth may give, in bytes.
const LONGEST_TOKEN: usize = 64 * 1024;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let login = warp::path!("login").and(warp::post());
    login.and(head(context)).and(client()).then(login_at_auth).map(answer).boxed()
}

/// Gives a login token for a name and a password.
#[utoipa::path(post, path = "/login", tag = "accounts", security(("password" = [])),
    responses(
        (status = 200, description = "The token", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 400, description = "The credentials cannot be read"),
        (status = 429, description = "`too_many_requests`")))]
pub(super) async fn login_at_auth(
    context: Arc<Context>,
    headers: HeaderMap,
    client: Client,
) -> Result<Response, Error> {
    let credentials = headers.get(AUTHORIZATION).ok_or(Error::BadCredentials)?;
    let mut request = context.auth.request(Method::POST, "/login", "");
    request = request.header(AUTHORIZATION, credentials);
    if let Some(address) = client.header() {
        request = request.header(CLIENT_ADDRESS, address);
    }
    let reply = auth::send(request).await?;
    let wait = reply.headers().get(RETRY_AFTER).cloned();
    match reply.status() {
        StatusCode::OK => {
            let token = auth::short(reply, LONGEST_TOKEN).await?;
            let mut response = token.into_response();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok(response)
        }
        StatusCode::UNAUTHORIZED => Err(Error::BadCredentials),
        StatusCode::BAD_REQUEST => Err(Error::bad_request("the credentials cannot be read")),
        StatusCode::TOO_MANY_REQUESTS => Err(Error::Throttled(wait)),
        StatusCode::SERVICE_UNAVAILABLE => Err(put_off(reply).await),
        status => Err(Error::Unavailable(format!("auth answered {status}"))),
    }
}

/// Many log in at once, or auth does not reach the accounts: its answer says which.
async fn put_off(reply: reqwest::Response) -> Error {
    let problem = auth::short(reply, LONGEST_TOKEN).await.unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap_or_default();
    if problem["code"] == "busy" {
        Error::Busy
    } else {
        Error::Unavailable("auth cannot reach the accounts".to_owned())
    }
}
