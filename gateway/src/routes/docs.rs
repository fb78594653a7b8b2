//! `/openapi.json`, and `/docs`: the description to read and to try out. Everything comes from this
//! program, nothing from elsewhere.

use super::{answer, openapi};
use crate::error::Error;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION},
};
use std::sync::Arc;
use utoipa_swagger_ui::Config;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

/// The page runs its own scripts and asks its own server; its styles stand in the page.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'";

pub(super) fn routes() -> BoxedFilter<(Response,)> {
    let description = warp::path!("openapi.json").and(warp::get());
    let description = description.map(|| answer(description_of_all()));
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let page = warp::path("docs").and(warp::path::tail()).and(warp::path::full());
    let page = page.and(warp::get()).map(move |tail: warp::path::Tail, full| {
        answer(file(tail.as_str(), warp::path::FullPath::as_str(&full), &config))
    });
    description.or(page).unify().boxed()
}

fn description_of_all() -> Result<Response, Error> {
    let text = openapi::description()?;
    let mut response = text.into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

fn file(name: &str, path: &str, config: &Arc<Config<'static>>) -> Result<Response, Error> {
    if path == "/docs" {
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
        return Ok(response);
    }
    let found = utoipa_swagger_ui::serve(name, config.clone());
    let file = found.map_err(|error| Error::Internal(error.to_string()))?.ok_or(Error::NotFound)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::try_from(file.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
