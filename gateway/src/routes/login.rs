//! `POST /login`: HTTP Basic in, a token out. The gateway reads neither; auth does.

use super::{answer, head};
use crate::{context::Context, error::Error, keys};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use std::sync::Arc;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let login = warp::path!("login").and(warp::post());
    login.and(head(context)).then(login_at_auth).map(answer).boxed()
}

async fn login_at_auth(context: Arc<Context>, headers: HeaderMap) -> Result<Response, Error> {
    let credentials = headers.get(AUTHORIZATION).ok_or(Error::BadCredentials)?;
    let mut url = context.http.auth_url.clone();
    url.set_path("/login");
    let asked = context.auth.post(url).header(AUTHORIZATION, credentials).send().await;
    let reply = asked.map_err(|error| Error::Unavailable(format!("auth: {error}")))?;
    let wait = reply.headers().get(RETRY_AFTER).cloned();
    match reply.status() {
        StatusCode::OK => {
            let token = keys::short(reply).await.map_err(Error::Unavailable)?;
            let mut response = token.into_response();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok(response)
        }
        StatusCode::UNAUTHORIZED => Err(Error::BadCredentials),
        StatusCode::BAD_REQUEST => Err(Error::bad_request("the credentials cannot be read")),
        StatusCode::TOO_MANY_REQUESTS => Err(Error::Throttled(wait)),
        StatusCode::SERVICE_UNAVAILABLE => Err(Error::Busy),
        status => Err(Error::Unavailable(format!("auth answered {status}"))),
    }
}
