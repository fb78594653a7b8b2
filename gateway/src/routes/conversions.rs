//! `/v1/conversions`: what becomes of the videos.

use super::{answer, head, openapi::Key, tagged, unread, videos::accepted};
use crate::{
    announcement,
    body::{self, Body},
    context::Context,
    error::Error,
    forecast, idempotency,
    identity::Identity,
    limits,
    options::{self, OptionsView},
    page::{self, List, Query},
    view::ConversionView,
    watch,
};
use domain::{
    Change, Conversion, ConversionId, Idempotency, NewConversion, Options, State, TraceParent,
    Video,
};
use headers::{ContentType, ETag, HeaderMapExt, IfNoneMatch};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use storage::AddError;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

/// Longest body of a request for a conversion.
const LONGEST_WISH: u64 = 16 * 1024;

/// A request to convert a stored video once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversion)]
struct Wish {
    #[schema(value_type = Uuid)]
    video: String,
    #[serde(flatten)]
    #[schema(value_type = OptionsView)]
    options: Options,
}

/// What may stand in a conversion's address.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Patience {
    /// Seconds to wait for the end; with If-None-Match, for any news.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 60)]
    wait: Option<String>,
}

/// Longest wait for news that a client may ask for, in seconds.
const LONGEST_WAIT: u64 = 60;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let conversions = warp::path!("v1" / "conversions");
    let post = conversions.and(warp::post()).and(head(context)).and(unread());
    let post = post.then(post_conversion).map(answer);
    let list = conversions.and(warp::get()).and(head(context));
    let list = list.and(warp::query()).and(warp::query()).then(list_conversions).map(answer);
    let one = warp::path!("v1" / "conversions" / String).and(warp::get()).and(head(context));
    let one = one.and(warp::query()).then(show_conversion).map(answer);
    let cancel = warp::path!("v1" / "conversions" / String / "cancel").and(warp::post());
    let cancel = cancel.and(head(context)).then(cancel_conversion).map(answer);
    let retry = warp::path!("v1" / "conversions" / String / "retry").and(warp::post());
    let retry = retry.and(head(context)).then(retry_conversion).map(answer);
    post.or(list).unify().or(one).unify().or(cancel).unify().or(retry).unify().boxed()
}

/// Converts a stored video once more.
#[utoipa::path(post, path = "/v1/conversions", tag = "conversions", request_body = Wish, params(Key),
    responses(
        (status = 202, description = "Accepted", body = ConversionView),
        (status = 400, description = "Something is wrong with the request"),
        (status = 404, description = "There is no such video"),
        (status = 410, description = "`video_gone`"),
        (status = 415, description = "The body is not JSON"),
        (status = 422, description = "`idempotency_key_reused`"),
        (status = 429, description = "`too_many_waiting`")))]
pub(super) async fn post_conversion(
    context: Arc<Context>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let idempotency = idempotency::key(&headers)?;
    if headers.typed_get::<ContentType>().is_none_or(|kind| kind != ContentType::json()) {
        return Err(Error::UnsupportedMediaType(
            "The body is JSON: Content-Type: application/json.",
        ));
    }
    let wish = body::short(body, LONGEST_WISH).await?;
    let wish: Wish = serde_json::from_slice(&wish).map_err(Error::bad_request)?;
    let options = options::checked(wish.options)?;
    let video = context.video(&identity, &wish.video).await?;
    start(&context, &identity, &video, options, idempotency).await
}

/// Tries one again that failed or was cancelled: another conversion, with the same options.
#[utoipa::path(post, path = "/v1/conversions/{id}/retry", tag = "conversions",
    params(("id" = Uuid, Path), Key),
    responses(
        (status = 202, description = "Accepted", body = ConversionView),
        (status = 400, description = "Something is wrong with the request"),
        (status = 404, description = "There is no such conversion"),
        (status = 409, description = "`not_retryable`"),
        (status = 410, description = "`video_gone`"),
        (status = 422, description = "`idempotency_key_reused`"),
        (status = 429, description = "`too_many_waiting`")))]
pub(super) async fn retry_conversion(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let idempotency = idempotency::key(&headers)?;
    let first = context.conversion(&identity, &id).await?;
    if !matches!(first.state, State::Failed | State::Cancelled) {
        return Err(Error::NotRetryable(first.state));
    }
    let video = context.storage.video(first.video).await;
    let video = video.map_err(|error| match error {
        storage::Error::NotFound => Error::VideoGone,
        error => error.into(),
    })?;
    start(&context, &identity, &video, first.options, idempotency).await
}

/// Begins another conversion of a stored video.
async fn start(
    context: &Arc<Context>,
    identity: &Identity,
    video: &Video,
    options: Options,
    idempotency: Option<Idempotency>,
) -> Result<Response, Error> {
    let now = Timestamp::now();
    if video.deleted || video.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::VideoGone);
    }
    let mp3_kept_for = context.http.mp3_retention;
    let new = NewConversion { video, role: identity.role, options, idempotency, mp3_kept_for };
    let mut conversion = Conversion::new(ConversionId::generate(), new, now);
    conversion.trace = Some(TraceParent::generate());
    if let Some(Idempotency { key }) = &conversion.idempotency
        && let Some(first) = context.storage.conversion_of_key(&identity.user, key).await?
    {
        return repeated(first, &conversion).map(accepted);
    }
    limits::check_waiting(context, &identity.user).await?;
    limits::check_floor(context, 0).await?;
    // The client's disappearance must not come between the record and its announcement.
    let adding = context.to_the_end(add(context.clone(), conversion));
    adding.await.map(accepted)
}

/// The first request's conversion, if this one asks for the same.
fn repeated(first: Conversion, wanted: &Conversion) -> Result<Conversion, Error> {
    let same = (first.video, &first.options) == (wanted.video, &wanted.options);
    if same { Ok(first) } else { Err(Error::KeyReused) }
}

async fn add(context: Arc<Context>, conversion: Conversion) -> Result<Conversion, Error> {
    match context.storage.add(&conversion).await {
        Ok(()) => {
            announcement::of_video(&context, &conversion).await;
            Ok(conversion)
        }
        Err(AddError::Duplicate(first)) => repeated(*first, &conversion),
        Err(AddError::Storage(storage::Error::NotFound)) => Err(Error::VideoGone),
        Err(AddError::Storage(error)) => Err(error.into()),
    }
}

/// Lists conversions, newest first.
#[utoipa::path(get, path = "/v1/conversions", tag = "conversions", params(Query, page::Filter),
    responses(
        (status = 200, description = "A page", body = List<ConversionView>),
        (status = 400, description = "Something is wrong with the request")))]
pub(super) async fn list_conversions(
    context: Arc<Context>,
    headers: HeaderMap,
    query: Query,
    filter: page::Filter,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let (which, page) = (filter.which()?, query.page()?);
    let conversions = context.storage.conversions(&identity.user, which, &page).await?;
    let list = List::new(conversions, &page, |record| record.id.to_string(), ConversionView::from);
    Ok(json(&list).into_response())
}

/// Shows a conversion, at once or when there is news. An administrator sees everybody's.
#[utoipa::path(get, path = "/v1/conversions/{id}", tag = "conversions",
    params(("id" = Uuid, Path), Patience, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The conversion", body = ConversionView, headers(("etag" = String))),
        (status = 304, description = "It is what the tag says"),
        (status = 400, description = "Something is wrong with the request"),
        (status = 404, description = "There is no such conversion")))]
pub(super) async fn show_conversion(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
    patience: Patience,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let wait = patience.wait()?;
    let conversion = context.any_conversion(&identity, &id).await?;
    let view_of = |record| ConversionView::shown_to(identity.role, record);
    let known: Option<IfNoneMatch> = headers.typed_get();
    let is_new = |tag: Option<ETag>| match (&known, tag) {
        (Some(known), Some(tag)) => known.precondition_passes(&tag),
        _ => true,
    };
    let enough = |record: &Conversion| match known {
        Some(_) => is_new(view_of(record.clone()).tag()),
        None => record.state.is_terminal(),
    };
    let seen = watch::wait(&context, conversion, Instant::now() + wait, enough).await?;
    let view = view_of(seen.clone());
    let tag = view.tag();
    let response = match is_new(tag.clone()) {
        true => json(&view.with_turn(forecast::turn(&context, &seen).await)).into_response(),
        false => StatusCode::NOT_MODIFIED.into_response(),
    };
    Ok(tagged(response, tag))
}

impl Patience {
    fn wait(&self) -> Result<Duration, Error> {
        match self.wait.as_deref().map(str::parse) {
            None => Ok(Duration::ZERO),
            Some(Ok(seconds @ 0..=LONGEST_WAIT)) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err(Error::bad_request("wait is a number of seconds from 0 to 60")),
        }
    }
}

/// Cancels a conversion that waits or runs.
#[utoipa::path(post, path = "/v1/conversions/{id}/cancel", tag = "conversions",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The conversion, cancelled", body = ConversionView),
        (status = 404, description = "There is no such conversion"),
        (status = 409, description = "`already_final`")))]
pub(super) async fn cancel_conversion(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let conversion = context.conversion(&identity, &id).await?;
    let cancelled = context.storage.change(conversion.id, &Change::Cancel).await?;
    announcement::of_cancellation(&context, &cancelled).await;
    Ok(json(&ConversionView::from(cancelled)).into_response())
}
