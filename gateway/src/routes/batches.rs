//! Batches of videos to be converted anew, which administrators ask for. The dispatcher carries them
//! out; here their records are made and changed.

use super::{answer, head, unread};
use crate::{
    announcement,
    body::{self, Body},
    context::Context,
    error::Error,
    options::{self, OptionsView, PresetName},
    view::StateName,
};
use domain::{
    Batch, BatchChange, BatchId, BatchState, BatchWish, Matching, Options, Preset, State, UserName,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use storage::{BatchError, Estimate, Progress};
use utoipa::ToSchema;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json, with_status},
};

/// Longest body of a request for a batch.
const LONGEST_WISH: u64 = 16 * 1024;

/// A request to convert everything that matches once more; what is absent matches all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBatch)]
struct Wish {
    /// 1 to 40 characters from a-z, 0-9 and -. The same id with the same wish is the same batch. One is
    /// made up where it is absent.
    id: Option<String>,
    /// Whose videos.
    owner: Option<String>,
    /// Conversions accepted at this time or later.
    since: Option<Timestamp>,
    /// Conversions accepted before this time.
    until: Option<Timestamp>,
    /// Conversions in this state.
    #[schema(value_type = Option<StateName>)]
    state: Option<State>,
    /// Conversions with this preset.
    #[schema(value_type = Option<PresetName>)]
    was_preset: Option<Preset>,
    /// How to convert now.
    #[serde(flatten)]
    #[schema(value_type = OptionsView)]
    options: Options,
    /// Whether the MP3s that matched expire once the new one is there.
    #[serde(default)]
    replace: bool,
}

/// What a batch would come to now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchEstimate)]
struct EstimateView {
    /// Conversions that match.
    found: u64,
    /// Conversions that would be made: one for each video.
    videos: u64,
    /// What they would take one after another, in seconds, by what their videos took last time; null
    /// where none of them has succeeded yet.
    work_seconds: Option<f64>,
}

/// A batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
struct BatchView {
    id: String,
    by: String,
    #[serde(flatten)]
    #[schema(value_type = OptionsView)]
    options: Options,
    replace: bool,
    /// `running`, `paused`, `cancelled` or `done`.
    state: &'static str,
    /// Conversions that matched so far.
    found: u64,
    /// Those of them whose video is gone.
    skipped: u64,
    /// Whether all that there is has been looked at.
    walked: bool,
    queued: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// Every batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchList)]
struct BatchList {
    items: Vec<BatchView>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let batches = warp::path!("v1" / "batches");
    let post = batches.and(warp::post()).and(head(context)).and(unread());
    let post = post.then(post_batch).map(answer);
    let list = batches.and(warp::get()).and(head(context)).then(list_batches).map(answer);
    let one = warp::path!("v1" / "batches" / String).and(warp::get()).and(head(context));
    let one = one.then(show_batch).map(answer);
    let change = warp::path!("v1" / "batches" / String / String).and(warp::post());
    let change = change.and(head(context)).then(change_batch).map(answer);
    let estimate = warp::path!("v1" / "batches" / "estimate").and(warp::post());
    let estimate = estimate.and(head(context)).and(unread()).then(estimate_batch).map(answer);
    let all = post.or(list).unify().or(one).unify();
    all.or(estimate).unify().or(change).unify().boxed()
}

/// Converts everything that matches once more (admins). What is there stays, with `replace` until the
/// new MP3 is there.
#[utoipa::path(post, path = "/v1/batches", tag = "operations", request_body = Wish,
    responses(
        (status = 201, description = "Made", body = BatchView),
        (status = 200, description = "It was there already", body = BatchView),
        (status = 400, description = "Something is wrong with the request"),
        (status = 403, description = "`forbidden`"),
        (status = 409, description = "`batch_exists`: another wish has this id")))]
pub(super) async fn post_batch(
    context: Arc<Context>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let batch = asked_for(&context, &headers, body).await?;
    let there = context.storage.add_batch(&batch).await?;
    if there.wish != batch.wish {
        return Err(Error::BatchExists);
    }
    announcement::of_operation(&context).await;
    let new = there.created_at == batch.created_at && there.by == batch.by;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let view = view(&context, there).await?;
    Ok(with_status(json(&view), status).into_response())
}

/// Tells what a batch would come to, and makes none (admins).
#[utoipa::path(post, path = "/v1/batches/estimate", tag = "operations", request_body = Wish,
    responses(
        (status = 200, description = "What matches now", body = EstimateView),
        (status = 400, description = "Something is wrong with the request"),
        (status = 403, description = "`forbidden`")))]
pub(super) async fn estimate_batch(
    context: Arc<Context>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let batch = asked_for(&context, &headers, body).await?;
    let Estimate { found, videos, work } = context.storage.estimate(&batch).await?;
    let work_seconds = work.map(|work| work.as_secs_f64());
    Ok(json(&EstimateView { found, videos, work_seconds }).into_response())
}

/// The batch that the request describes, which nobody has made yet.
async fn asked_for(context: &Context, headers: &HeaderMap, body: Body) -> Result<Batch, Error> {
    let identity = context.verifier.administrator(headers).await?;
    let wish = body::short(body, LONGEST_WISH).await?;
    let wish: Wish = serde_json::from_slice(&wish).map_err(Error::bad_request)?;
    let id = match &wish.id {
        Some(id) => id.parse::<BatchId>().map_err(Error::bad_request)?,
        None => BatchId::generate(),
    };
    let mut batch = Batch::new(id, identity.user, read(wish)?, Timestamp::now());
    batch.mp3_kept_for = context.http.mp3_retention;
    Ok(batch)
}

fn read(wish: Wish) -> Result<BatchWish, Error> {
    let owner = wish.owner.as_deref().map(str::parse::<UserName>).transpose();
    Ok(BatchWish {
        matching: Matching {
            owner: owner.map_err(Error::bad_request)?,
            since: wish.since,
            until: wish.until,
            state: wish.state,
            preset: wish.was_preset,
        },
        options: options::checked(wish.options)?,
        replace: wish.replace,
    })
}

/// Lists batches by name (admins).
#[utoipa::path(get, path = "/v1/batches", tag = "operations",
    responses((status = 200, description = "All of them", body = BatchList),
        (status = 403, description = "`forbidden`")))]
pub(super) async fn list_batches(
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    context.verifier.administrator(&headers).await?;
    let mut items = Vec::new();
    for batch in context.storage.batches(false).await? {
        items.push(view(&context, batch).await?);
    }
    Ok(json(&BatchList { items }).into_response())
}

/// Shows a batch and how far it is (admins).
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "operations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The batch", body = BatchView),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "There is no such batch")))]
pub(super) async fn show_batch(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    context.verifier.administrator(&headers).await?;
    let batch = context.storage.batch(&named(&id)?).await?;
    Ok(json(&view(&context, batch).await?).into_response())
}

/// Pauses, resumes or cancels a batch (admins): `pause`, `resume`, `cancel`.
#[utoipa::path(post, path = "/v1/batches/{id}/{change}", tag = "operations",
    params(("id" = String, Path), ("change" = String, Path)),
    responses((status = 200, description = "The batch", body = BatchView),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "There is no such batch or change"),
        (status = 409, description = "`batch_final`")))]
pub(super) async fn change_batch(
    id: String,
    change: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    context.verifier.administrator(&headers).await?;
    let change = match change.as_str() {
        "pause" => BatchChange::Pause,
        "resume" => BatchChange::Resume,
        "cancel" => BatchChange::Cancel,
        _ => return Err(Error::NotFound),
    };
    let changed = context.storage.change_batch(&named(&id)?, &change).await;
    let batch = changed.map_err(|error| match error {
        BatchError::Refused(_) => Error::BatchFinal,
        BatchError::Storage(error) => error.into(),
    })?;
    announcement::of_operation(&context).await;
    Ok(json(&view(&context, batch).await?).into_response())
}

/// A name from an address; text that is no name names nothing.
fn named(id: &str) -> Result<BatchId, Error> {
    id.parse().map_err(|_| Error::NotFound)
}

async fn view(context: &Context, batch: Batch) -> Result<BatchView, Error> {
    let Progress { queued, running, succeeded, failed, cancelled } =
        context.storage.progress(&batch.id).await?;
    Ok(BatchView {
        id: batch.id.to_string(),
        by: batch.by.to_string(),
        options: batch.wish.options,
        replace: batch.wish.replace,
        state: BatchState::as_str(batch.state),
        found: batch.found,
        skipped: batch.skipped,
        walked: batch.walked,
        queued,
        running,
        succeeded,
        failed,
        cancelled,
        created_at: batch.created_at,
        finished_at: batch.finished_at,
    })
}
