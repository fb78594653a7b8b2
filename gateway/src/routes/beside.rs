//! `GET /v1/conversions/ID/report` and `/waveform`: what is stored beside the MP3, as the converter
//! has written it. To be had as long as the MP3 itself, and by the same people.

use super::{answer, head, mp3, tagged};
use crate::{
    context::Context,
    error::Error,
    options::{LoudnessView, OptionsView},
    view::tag_of,
};
use headers::{ContentType, HeaderMapExt, IfNoneMatch};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use std::sync::Arc;
use storage::Beside;
use utoipa::ToSchema;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

/// How an MP3 was made.
#[derive(ToSchema)]
#[schema(as = Report)]
#[expect(dead_code, reason = "it describes the API")]
struct ReportView {
    /// FFmpeg's name for the container, which may be several with commas between.
    #[schema(example = "mov,mp4,m4a,3gp,3g2,mj2")]
    container: String,
    /// FFmpeg's name for the codec of the track that was taken.
    #[schema(example = "aac")]
    codec: String,
    /// Which track of sound was taken.
    #[schema(minimum = 1)]
    track: u8,
    /// All tracks of sound, in the order of the file.
    tracks: Vec<TrackView>,
    duration_ms: u64,
    /// Null where no loudness was asked for, or there was none to be measured.
    loudness: Option<LoudnessView>,
    /// The highest sample of any channel as it was encoded; null for silence.
    #[schema(example = -1.2)]
    peak_dbfs: Option<f64>,
    /// What the converter had to say of the file.
    #[schema(max_items = 4)]
    warnings: Vec<String>,
    /// As they were asked for.
    options: OptionsView,
    mp3: ShapeView,
    /// Milliseconds that the attempt took.
    took_ms: u64,
    finished_at: Timestamp,
    /// The program and its version.
    converter: String,
}

#[derive(ToSchema)]
#[schema(as = SoundTrack)]
#[expect(dead_code, reason = "it describes the API")]
struct TrackView {
    /// By which it can be asked for.
    #[schema(minimum = 1)]
    number: u8,
    codec: String,
    /// Null where the file does not say.
    #[schema(pattern = "^[a-z]{3}$", example = "eng")]
    language: Option<String>,
    /// Null where the file's head does not say.
    channels: Option<u32>,
    /// Null where the file's head does not say.
    sample_rate: Option<u32>,
    /// Marked as the one to play.
    default: bool,
}

#[derive(ToSchema)]
#[schema(as = Mp3Shape)]
#[expect(dead_code, reason = "it describes the API")]
struct ShapeView {
    sample_rate: u32,
    #[schema(minimum = 1, maximum = 2)]
    channels: u8,
    /// Bytes.
    length: u64,
}

/// A waveform as the tool `audiowaveform` writes it.
#[derive(ToSchema)]
#[schema(as = Waveform)]
#[expect(dead_code, reason = "it describes the API")]
struct WaveformView {
    #[schema(minimum = 2, maximum = 2)]
    version: u8,
    /// All are mixed into one.
    #[schema(minimum = 1, maximum = 1)]
    channels: u8,
    sample_rate: u32,
    /// As many as it takes for 8192 pixels to be enough: 256, or twice as many and so on.
    #[schema(minimum = 256)]
    samples_per_pixel: u32,
    #[schema(minimum = 8, maximum = 8)]
    bits: u8,
    /// Pixels.
    #[schema(minimum = 1, maximum = 8192)]
    length: u32,
    /// The lowest and the highest sample of each pixel.
    #[schema(max_items = 16384)]
    data: Vec<i8>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let report = warp::path!("v1" / "conversions" / String / "report").and(warp::get());
    let report = report.and(head(context)).then(show_report).map(answer);
    let waveform = warp::path!("v1" / "conversions" / String / "waveform").and(warp::get());
    let waveform = waveform.and(head(context)).then(show_waveform).map(answer);
    report.or(waveform).unify().boxed()
}

/// Tells how the MP3 was made, and of what.
#[utoipa::path(get, path = "/v1/conversions/{id}/report", tag = "conversions",
    params(("id" = Uuid, Path), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The report", body = ReportView, headers(("etag" = String))),
        (status = 304, description = "It is what the tag says"),
        (status = 404, description = "There is no such conversion, or no report of it"),
        (status = 409, description = "`not_ready`, `conversion_failed`"),
        (status = 410, description = "`mp3_expired`")))]
pub(super) async fn show_report(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    send(&id, &context, &headers, |beside| Some(beside.report)).await
}

/// Shows the sound of the MP3 as a waveform.
#[utoipa::path(get, path = "/v1/conversions/{id}/waveform", tag = "conversions",
    params(("id" = Uuid, Path), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The waveform", body = WaveformView, headers(("etag" = String))),
        (status = 304, description = "It is what the tag says"),
        (status = 404, description = "There is no such conversion, or no waveform of it"),
        (status = 409, description = "`not_ready`, `conversion_failed`"),
        (status = 410, description = "`mp3_expired`")))]
pub(super) async fn show_waveform(
    id: String,
    context: Arc<Context>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    send(&id, &context, &headers, |beside| beside.waveform).await
}

/// One of the texts beside the conversion's MP3.
async fn send(
    id: &str,
    context: &Context,
    headers: &HeaderMap,
    wanted: fn(Beside) -> Option<String>,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(headers).await?;
    let conversion = context.conversion(&identity, id).await?;
    let mp3 = mp3::result(&conversion)?;
    let text = context.storage.beside(mp3.id).await?.and_then(wanted).ok_or(Error::NotBeside)?;
    let tag = tag_of(text.as_bytes());
    let known = headers.typed_get::<IfNoneMatch>().zip(tag.as_ref());
    let response = match known {
        Some((tags, tag)) if !tags.precondition_passes(tag) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => {
            let mut response = text.into_response();
            response.headers_mut().typed_insert(ContentType::json());
            response
        }
    };
    Ok(tagged(response, tag))
}
