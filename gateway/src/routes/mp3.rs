//! `GET /v1/conversions/ID/mp3`: the result, streamed from storage.
//!
//! What must hold: a client never takes wrong bytes for its MP3. A whole file is hashed as it goes
//! out, and its last bytes are held back if the hash is not the recorded one.

use super::{answer, head, tagged};
use crate::{
    context::Context,
    disposition,
    error::Error,
    range::{Wanted, wanted},
};
use bytes::Bytes;
use domain::{Conversion, Mp3, State};
use futures::{Stream, StreamExt, stream};
use headers::{AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfNoneMatch};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};
use storage::BlobReader;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let mp3 = warp::path!("v1" / "conversions" / String / "mp3");
    let mp3 = mp3.and(warp::get().or(warp::head()).unify()).and(head(context));
    mp3.then(show_mp3).map(answer).boxed()
}

/// Downloads the MP3, whole or a part of it.
#[utoipa::path(method(get, head), path = "/v1/conversions/{id}/mp3", tag = "conversions",
    params(("id" = Uuid, Path), ("Range" = Option<String>, Header),
        ("If-Range" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The MP3", body = Vec<u8>, content_type = "audio/mpeg"),
        (status = 206, description = "A part of it", body = Vec<u8>, content_type = "audio/mpeg"),
        (status = 304, description = "It is what the tag says"),
        (status = 404, description = "There is no such conversion"),
        (status = 409, description = "`not_ready`, `conversion_failed`"),
        (status = 410, description = "`mp3_expired`"),
        (status = 416, description = "`range_not_satisfiable`")))]
pub(super) async fn show_mp3(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let conversion = context.conversion(&identity, &id).await?;
    send(&context, &conversion, &headers).await
}

/// The conversion's MP3, or the part that is asked for.
pub(super) async fn send(
    context: &Context,
    conversion: &Conversion,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let mp3 = result(conversion)?;
    let etag: ETag = format!("\"{}\"", mp3.sha256)
        .parse()
        .map_err(|_| Error::Internal("a hash is no tag".into()))?;
    let known =
        headers.typed_get::<IfNoneMatch>().is_some_and(|tags| !tags.precondition_passes(&etag));
    let response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content(context, conversion, mp3, wanted(headers, &etag, mp3.length)).await?
    };
    Ok(tagged(response, Some(etag)))
}

/// The MP3 of a conversion that has one; the reason where it has none.
pub(super) fn result(conversion: &Conversion) -> Result<&Mp3, Error> {
    if conversion.has_expired(Timestamp::now()) {
        return Err(Error::Mp3Expired);
    }
    match (conversion.state, &conversion.mp3, &conversion.failure) {
        (State::Succeeded, Some(mp3), _) => Ok(mp3),
        (State::Queued | State::Running, ..) => Err(Error::NotReady(conversion.state)),
        (_, _, Some(failure)) => Err(Error::ConversionFailed(failure.reason.sentence())),
        (State::Cancelled, ..) => Err(Error::ConversionFailed("The conversion was cancelled.")),
        _ => {
            Err(Error::Internal(format!("conversion {} has ended without a result", conversion.id)))
        }
    }
}

async fn content(
    context: &Context,
    conversion: &Conversion,
    mp3: &Mp3,
    wanted: Wanted,
) -> Result<Response, Error> {
    let (range, status) = match wanted {
        Wanted::All => (0..mp3.length, StatusCode::OK),
        Wanted::Part(range) => (range, StatusCode::PARTIAL_CONTENT),
        Wanted::Nothing => return Err(Error::OutOfRange(mp3.length)),
    };
    let reader = open(context, mp3).await?;
    let bytes = shared(checked(reader, range.clone(), mp3.clone()));
    let mut response = warp::reply::stream(bytes).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let name = disposition::attachment(&conversion.name.mp3());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("audio/mpeg"));
    headers.insert(CONTENT_DISPOSITION, name);
    headers.typed_insert(ContentLength(range.end - range.start));
    headers.typed_insert(AcceptRanges::bytes());
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = ContentRange::bytes(range, mp3.length)
    {
        headers.typed_insert(range);
    }
    Ok(response)
}

/// The file that the record names; its absence is our fault, not the client's.
async fn open(context: &Context, mp3: &Mp3) -> Result<BlobReader, Error> {
    let (id, recorded) = (mp3.id, mp3.length);
    match context.storage.open_mp3(id).await {
        Ok(reader) if reader.length() == recorded => Ok(reader),
        Ok(reader) => Err(Error::Internal(format!(
            "MP3 {id} has {} bytes stored, {recorded} recorded",
            reader.length()
        ))),
        Err(storage::Error::NotFound) => {
            Err(Error::Internal(format!("MP3 {id} is recorded but not stored")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The bytes of `range`; an error, which breaks the answer off, where they are not the recorded ones.
fn checked(
    reader: BlobReader,
    range: Range<u64>,
    mp3: Mp3,
) -> impl Stream<Item = Result<Bytes, storage::Error>> + Send {
    let whole = range == (0..mp3.length);
    let (mut left, mut digest) = (range.end - range.start, Sha256::new());
    reader.stream(range).map(move |read| {
        let read = read.and_then(|bytes| {
            left = left.saturating_sub(bytes.len() as u64);
            if whole {
                digest.update(&bytes);
            }
            if whole
                && left == 0
                && domain::Sha256::from(<[u8; 32]>::from(digest.finalize_reset())) != mp3.sha256
            {
                return Err(storage::Error::Corrupt("its hash has changed".to_owned()));
            }
            Ok(bytes)
        });
        read.inspect_err(
            |error| tracing::error!(error = %error, mp3.id = %mp3.id, "an MP3 was broken off"),
        )
    })
}

/// Makes a stream `Sync`, as warp wants it: only one ever reads it.
fn shared<S: Stream + Send>(stream: S) -> impl Stream<Item = S::Item> + Send + Sync {
    let mut stream = Mutex::new(Box::pin(stream));
    stream::poll_fn(move |cx| {
        stream.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(cx)
    })
}
