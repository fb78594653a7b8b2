//! The switch that stops dispatching, for administrators. Uploads are accepted all the same.

use super::{answer, head};
use crate::{announcement, context::Context, error::Error};
use domain::Dispatching;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

/// Whether waiting conversions are given jobs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dispatching)]
struct DispatchingView {
    paused: bool,
    by: Option<String>,
    at: Option<Timestamp>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let show = warp::path!("v1" / "dispatching").and(warp::get()).and(head(context));
    let show = show.then(show_dispatching).map(answer);
    let switch = warp::path!("v1" / "dispatching" / String).and(warp::post()).and(head(context));
    show.or(switch.then(switch_dispatching).map(answer)).unify().boxed()
}

/// Tells whether waiting conversions are given jobs (admins).
#[utoipa::path(get, path = "/v1/dispatching", tag = "operations",
    responses((status = 200, description = "The switch", body = DispatchingView),
        (status = 403, description = "`forbidden`")))]
pub(super) async fn show_dispatching(
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    context.verifier.administrator(&headers).await?;
    Ok(json(&DispatchingView::from(context.storage.dispatching().await?)).into_response())
}

/// Pauses or resumes dispatching (admins): `pause`, `resume`. Uploads are accepted all the same, and
/// what runs goes on.
#[utoipa::path(post, path = "/v1/dispatching/{change}", tag = "operations",
    params(("change" = String, Path)),
    responses((status = 200, description = "The switch", body = DispatchingView),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "There is no such change")))]
pub(super) async fn switch_dispatching(
    change: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.administrator(&headers).await?;
    let paused = match change.as_str() {
        "pause" => true,
        "resume" => false,
        _ => return Err(Error::NotFound),
    };
    let switch = Dispatching { paused, by: Some(identity.user), at: Some(Timestamp::now()) };
    context.storage.set_dispatching(&switch).await?;
    announcement::of_operation(&context).await;
    Ok(json(&DispatchingView::from(switch)).into_response())
}

impl From<Dispatching> for DispatchingView {
    fn from(switch: Dispatching) -> Self {
        let by = switch.by.map(|by| by.to_string());
        Self { paused: switch.paused, by, at: switch.at }
    }
}
