//! `/v1/conversions`: what becomes of the videos.

use super::{answer, head, unread, videos::accepted};
use crate::{
    announcement,
    body::{self, Body},
    context::Context,
    error::Error,
    idempotency,
    page::{List, Query},
    view::ConversionView,
};
use domain::{Change, Conversion, ConversionId, NewConversion, Options, Preset};
use headers::{ContentType, HeaderMapExt};
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use storage::AddError;
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    reply::{Response, json},
};

/// Longest body of a request for a conversion.
const LONGEST_WISH: u64 = 16 * 1024;

/// A request to convert a stored video once more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    video: String,
    #[serde(default)]
    preset: Option<String>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let conversions = warp::path!("v1" / "conversions");
    let post = conversions.and(warp::post()).and(head(context)).and(unread());
    let post = post.then(post_conversion).map(answer);
    let list = conversions.and(warp::get()).and(head(context));
    let list = list.and(warp::query()).then(list_conversions).map(answer);
    let one = warp::path!("v1" / "conversions" / String).and(warp::get()).and(head(context));
    let one = one.then(show_conversion).map(answer);
    let cancel = warp::path!("v1" / "conversions" / String / "cancel").and(warp::post());
    let cancel = cancel.and(head(context)).then(cancel_conversion).map(answer);
    post.or(list).unify().or(one).unify().or(cancel).unify().boxed()
}

async fn post_conversion(
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
    let preset = wish.preset.as_deref().map(str::parse::<Preset>).transpose();
    let options = Options {
        preset: preset.map_err(Error::bad_request)?.unwrap_or_default(),
        allow_truncated: false,
    };
    let video = context.video(&identity, &wish.video).await?;
    let new = NewConversion {
        video: &video,
        role: identity.role,
        options,
        idempotency,
        mp3_kept_for: None,
    };
    let conversion = Conversion::new(ConversionId::generate(), new, Timestamp::now());
    // The client's disappearance must not come between the record and its announcement.
    let adding = context.to_the_end(add(context.clone(), conversion));
    adding.await.map(accepted)
}

async fn add(context: Arc<Context>, conversion: Conversion) -> Result<Conversion, Error> {
    let same = |first: &Conversion| {
        (first.video, &first.options) == (conversion.video, &conversion.options)
    };
    match context.storage.add(&conversion).await {
        Ok(()) => {
            announcement::of_video(&context, &conversion).await;
            Ok(conversion)
        }
        Err(AddError::Duplicate(first)) if same(&first) => Ok(*first),
        Err(AddError::Duplicate(_)) => Err(Error::KeyReused),
        Err(AddError::Storage(error)) => Err(error.into()),
    }
}

async fn list_conversions(
    context: Arc<Context>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let (state, page) = (query.state()?, query.page()?);
    let conversions = context.storage.conversions(&identity.user, state, &page).await?;
    let list = List::new(conversions, &page, |record| record.id.to_string(), ConversionView::from);
    Ok(json(&list).into_response())
}

async fn show_conversion(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let conversion = context.conversion(&identity, &id).await?;
    Ok(json(&ConversionView::from(conversion)).into_response())
}

async fn cancel_conversion(
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
