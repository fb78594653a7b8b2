//! `/v1/me`: who asks, and how much of what is allowed is used.

use super::{answer, head, openapi::RoleName};
use crate::{context::Context, error::Error};
use domain::{Role, UserName};
use http::HeaderMap;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

/// The one who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub(super) struct MeView {
    #[schema(value_type = String)]
    name: UserName,
    #[schema(value_type = RoleName)]
    role: Role,
    /// Of videos and MP3s.
    bytes_stored: u64,
    /// Null means no limit.
    bytes_allowed: Option<u64>,
    /// Conversions that are queued or running.
    waiting: u64,
    /// Null means no limit.
    waiting_allowed: Option<u64>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let me = warp::path!("v1" / "me").and(warp::get()).and(head(context));
    me.then(show_me).map(answer).boxed()
}

/// Shows who asks, and how much of what is allowed is used.
#[utoipa::path(get, path = "/v1/me", tag = "accounts",
    responses((status = 200, description = "The one who asks", body = MeView)))]
pub(super) async fn show_me(context: Arc<Context>, headers: HeaderMap) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let usage = context.storage.usage(&identity.user).await?;
    Ok(json(&MeView {
        name: identity.user,
        role: identity.role,
        bytes_stored: usage.bytes,
        bytes_allowed: context.http.max_user_bytes,
        waiting: usage.waiting,
        waiting_allowed: context.http.max_user_waiting,
    })
    .into_response())
}
