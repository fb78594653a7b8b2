//! `/v1/dead-letters`: messages that were put aside, for admins to look at, replay or drop.

use super::{answer, head};
use crate::{
    context::{Context, parse},
    error::Error,
    page::List,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use queue::DeadLetter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

const DEFAULT_LIMIT: u32 = 100;
const HIGHEST_LIMIT: u32 = 1000;

/// A message that was put aside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct LetterView {
    id: Uuid,
    /// The queue that it came from: `video`, `mp3` or `control`.
    topic: &'static str,
    /// Why it was put aside.
    reason: String,
    /// When it was put aside; null where nobody knows.
    at: Option<Timestamp>,
    /// How many times it had been delivered; 0 where nobody knows.
    deliveries: u32,
    /// The beginning, at most 4 KiB.
    body: String,
    /// Bytes of the whole.
    length: u64,
    /// The trace that it belongs to.
    traceparent: Option<String>,
}

/// What may stand in the address of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Bounds {
    /// Entries in the list; 100 where it is absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let list = warp::path!("v1" / "dead-letters").and(warp::get()).and(head(context));
    let list = list.and(warp::query()).then(list_dead_letters).map(answer);
    let replay = warp::path!("v1" / "dead-letters" / String / "replay").and(warp::post());
    let replay = replay.and(head(context)).then(replay_dead_letter).map(answer);
    let drop = warp::path!("v1" / "dead-letters" / String).and(warp::delete());
    let drop = drop.and(head(context)).then(drop_dead_letter).map(answer);
    list.or(replay).unify().or(drop).unify().boxed()
}

/// Lists the messages that were put aside, oldest first (admins). There are no pages: those that are
/// not shown come into sight as others go.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "operations", params(Bounds),
    responses(
        (status = 200, description = "The dead letters", body = List<LetterView>),
        (status = 400, description = "Something is wrong with the request"),
        (status = 403, description = "`forbidden`")))]
pub(super) async fn list_dead_letters(
    context: Arc<Context>,
    headers: HeaderMap,
    bounds: Bounds,
) -> Result<Response, Error> {
    context.verifier.administrator(&headers).await?;
    let limit = match bounds.limit.as_deref().map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 1..=HIGHEST_LIMIT)) => limit,
        Some(_) => return Err(Error::bad_request("limit is a number from 1 to 1000")),
    };
    let letters = context.queue.dead_letters(limit).await?;
    let items = letters.into_iter().map(LetterView::from).collect();
    Ok(json(&List { items, next: None }).into_response())
}

/// Puts a message back into the queue that it came from, as it was (admins).
#[utoipa::path(post, path = "/v1/dead-letters/{id}/replay", tag = "operations",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204, description = "It waits in its queue"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "There is no such dead letter")))]
pub(super) async fn replay_dead_letter(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.administrator(&headers).await?;
    let (id, queue) = (parse(&id)?, context.queue.clone());
    context.to_the_end(async move { Ok(queue.replay(id).await?) }).await?;
    tracing::info!(letter.id = %id, user = %identity.user, "a dead letter was replayed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes a message that was put aside (admins).
#[utoipa::path(delete, path = "/v1/dead-letters/{id}", tag = "operations",
    params(("id" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "There is no such dead letter")))]
pub(super) async fn drop_dead_letter(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.administrator(&headers).await?;
    let (id, queue) = (parse(&id)?, context.queue.clone());
    context.to_the_end(async move { Ok(queue.discard(id).await?) }).await?;
    tracing::info!(letter.id = %id, user = %identity.user, "a dead letter was dropped");
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<DeadLetter> for LetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            topic: letter.topic.name(),
            reason: letter.reason,
            at: letter.at,
            deliveries: letter.deliveries,
            body: letter.body,
            length: letter.length,
            traceparent: letter.trace.map(String::from),
        }
    }
}
