//! Records as the API shows them. What is not here is nobody's business.

use domain::{
    Conversion, ConversionId, FileName, Mp3, Mp3Id, Preset, Sha256, State, Video, VideoId,
};
use headers::ETag;
use jiff::Timestamp;
use serde::Serialize;
use sha2::Digest;

/// A conversion.
#[derive(Debug, Serialize)]
pub(crate) struct ConversionView {
    id: ConversionId,
    video: VideoId,
    name: FileName,
    preset: Preset,
    allow_truncated: bool,
    state: State,
    progress: Option<u8>,
    attempt: u32,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    waiting: Option<String>,
    mp3: Option<Mp3View>,
    error: Option<FailureView>,
}

#[derive(Debug, Serialize)]
struct Mp3View {
    id: Mp3Id,
    length: u64,
    sha256: Sha256,
    duration_ms: u64,
    /// When it is deleted; null means never.
    expires_at: Option<Timestamp>,
    url: String,
}

#[derive(Debug, Serialize)]
struct FailureView {
    code: &'static str,
    message: &'static str,
}

/// A video.
#[derive(Debug, Serialize)]
pub(crate) struct VideoView {
    id: VideoId,
    name: FileName,
    length: u64,
    sha256: Sha256,
    created_at: Timestamp,
    /// When it is deleted; null means never.
    expires_at: Option<Timestamp>,
}

/// The address of a conversion.
pub(crate) fn location(id: ConversionId) -> String {
    format!("/v1/conversions/{id}")
}

impl From<Conversion> for ConversionView {
    fn from(record: Conversion) -> Self {
        let show = |mp3: Mp3| Mp3View {
            id: mp3.id,
            length: mp3.length,
            sha256: mp3.sha256,
            duration_ms: mp3.duration_ms,
            expires_at: record.mp3_expires_at,
            url: format!("{}/mp3", location(record.id)),
        };
        Self {
            id: record.id,
            video: record.video,
            name: record.name,
            preset: record.options.preset,
            allow_truncated: record.options.allow_truncated,
            state: record.state,
            progress: record.progress,
            attempt: record.attempt,
            created_at: record.created_at,
            finished_at: record.finished_at,
            waiting: record.waiting,
            mp3: record.mp3.map(show),
            error: record.failure.map(|failure| FailureView {
                code: failure.reason.code(),
                message: failure.reason.sentence(),
            }),
        }
    }
}

impl ConversionView {
    /// Differs whenever anything of the view does.
    pub(crate) fn tag(&self) -> Option<ETag> {
        let text = serde_json::to_vec(self).ok()?;
        let digest = domain::Sha256::from(<[u8; 32]>::from(sha2::Sha256::digest(text)));
        format!("\"{:.16}\"", digest.to_string()).parse().ok()
    }
}

impl From<Video> for VideoView {
    fn from(record: Video) -> Self {
        Self {
            id: record.id,
            name: record.name,
            length: record.length,
            sha256: record.sha256,
            created_at: record.created_at,
            expires_at: record.expires_at,
        }
    }
}
