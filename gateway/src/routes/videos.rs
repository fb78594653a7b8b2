//! `/v1/videos`: uploads, and what has been uploaded.

use super::{answer, head, openapi::Key, unread};
use crate::{
    body::Body,
    context::Context,
    disposition,
    error::Error,
    idempotency,
    options::{self, OptionsView},
    page::{List, Query},
    upload::{self, Upload},
    view::{ConversionView, VideoView, location},
};
use domain::{Conversion, TraceParent, Video};
use headers::{ContentLength, HeaderMapExt};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION},
};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

/// What an upload's address may say beside the options.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wish {
    /// The file's name. Else it comes from Content-Disposition or the form.
    name: Option<String>,
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the API")]
pub(super) struct Form {
    /// The video.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let videos = warp::path!("v1" / "videos");
    let post = videos.and(warp::post()).and(head(context));
    let post = post.and(raw_query()).and(unread()).then(post_video).map(answer);
    let list = videos.and(warp::get()).and(head(context));
    let list = list.and(warp::query()).then(list_videos).map(answer);
    let one = warp::path!("v1" / "videos" / String).and(warp::get()).and(head(context));
    let one = one.then(show_video).map(answer);
    let delete = warp::path!("v1" / "videos" / String).and(warp::delete()).and(head(context));
    let delete = delete.then(delete_video).map(answer);
    post.or(list).unify().or(one).unify().or(delete).unify().boxed()
}

/// What follows the question mark, unread: a fault in it is told in words.
fn raw_query() -> BoxedFilter<(String,)> {
    warp::query::raw().or(warp::any().map(String::new)).unify().boxed()
}

/// Uploads a video and starts its first conversion.
///
/// An answer of 202 means that the video and the conversion are durable.
#[utoipa::path(post, path = "/v1/videos", tag = "videos", params(Wish, OptionsView, Key),
    request_body(content((Vec<u8> = "application/octet-stream"), (Form = "multipart/form-data"))),
    responses(
        (status = 202, description = "Accepted", body = ConversionView, headers(("location" = String))),
        (status = 400, description = "Something is wrong with the request"),
        (status = 403, description = "`quota_exceeded`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`idempotency_key_reused`"),
        (status = 429, description = "`too_many_waiting`"),
        (status = 507, description = "`storage_full`")))]
pub(super) async fn post_video(
    context: Arc<Context>,
    headers: HeaderMap,
    query: String,
    body: Body,
) -> Result<Response, Error> {
    let upload = parse(&context, &headers, &query).await?;
    upload::receive(&context, upload, body).await.map(accepted)
}

/// Reads everything but the body, so that a request that cannot succeed is not sent in vain.
pub(super) async fn parse(
    context: &Context,
    headers: &HeaderMap,
    query: &str,
) -> Result<Upload, Error> {
    let identity = context.verifier.identify(headers).await?;
    let wish: Wish = serde_urlencoded::from_str(query).map_err(Error::bad_request)?;
    let disposition = headers.get(CONTENT_DISPOSITION);
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form =
        |text: &&str| text.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
    Ok(Upload {
        identity,
        name: wish.name.or_else(|| disposition::file_name(disposition?.as_bytes())),
        options: options::of_query(query)?,
        key: idempotency::key(headers)?,
        trace: trace(headers),
        length: headers.typed_get::<ContentLength>().map(|length| length.0),
        form: content_type.filter(is_form).map(str::to_owned),
    })
}

/// The trace that the client has begun, or a new one.
pub(super) fn trace(headers: &HeaderMap) -> TraceParent {
    let theirs = headers.get("traceparent").and_then(|text| text.to_str().ok()?.parse().ok());
    theirs.map_or_else(TraceParent::generate, |trace: TraceParent| trace.continued())
}

/// The answer to whoever has started a conversion.
pub(super) fn accepted(conversion: Conversion) -> Response {
    let address = location(conversion.id);
    let mut response = json(&ConversionView::from(conversion)).into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(address) = HeaderValue::try_from(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// Lists videos, newest first.
#[utoipa::path(get, path = "/v1/videos", tag = "videos", params(Query),
    responses(
        (status = 200, description = "A page", body = List<VideoView>),
        (status = 400, description = "Something is wrong with the request")))]
pub(super) async fn list_videos(
    context: Arc<Context>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let page = query.page()?;
    let videos = context.storage.videos(&identity.user, &page).await?;
    let list = List::new(videos, &page, |video| video.id.to_string(), VideoView::from);
    Ok(json(&list).into_response())
}

/// Shows a video.
#[utoipa::path(get, path = "/v1/videos/{id}", tag = "videos", params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The video", body = VideoView),
        (status = 404, description = "There is no such video")))]
pub(super) async fn show_video(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let video = context.video(&identity, &id).await?;
    Ok(json(&VideoView::from(video)).into_response())
}

/// Deletes a video, its conversions and their MP3s.
#[utoipa::path(delete, path = "/v1/videos/{id}", tag = "videos", params(("id" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such video")))]
pub(super) async fn delete_video(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let video = context.video(&identity, &id).await?;
    context.to_the_end(delete(context.clone(), video)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes a video with all that hangs on it. Once it is condemned that will happen, whoever dies.
pub(super) async fn delete(context: Arc<Context>, video: Video) -> Result<(), Error> {
    context.storage.condemn(&video, Timestamp::now()).await?;
    tracing::info!(video.id = %video.id, "a video is deleted");
    if let Err(error) = context.storage.purge(video.id).await {
        tracing::warn!(%error, video.id = %video.id, "the dispatcher will delete what is left");
    }
    Ok(())
}
