//! Records as the API shows them. What is not here is nobody's business.

use crate::{
    forecast::TurnView,
    options::{LoudnessView, OptionsView},
};
use domain::{
    Conversion, ConversionId, FileName, Loudness, Mp3, Mp3Id, Options, Pace, Role, Setback, Sha256,
    State, Video, VideoId,
};
use headers::ETag;
use jiff::Timestamp;
use serde::Serialize;
use sha2::Digest;
use utoipa::ToSchema;

/// A conversion.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversion)]
pub(crate) struct ConversionView {
    #[schema(value_type = Uuid)]
    id: ConversionId,
    #[schema(value_type = Uuid)]
    video: VideoId,
    /// The video's.
    #[schema(value_type = String)]
    name: FileName,
    #[serde(flatten)]
    #[schema(value_type = OptionsView)]
    options: Options,
    #[schema(value_type = StateName)]
    state: State,
    /// 0 to 100, while an attempt is at work and after it.
    #[schema(maximum = 100)]
    progress: Option<u8>,
    /// As a multiple of real time, while an attempt is at work and once that is known.
    #[schema(minimum = 0, example = 35.5)]
    speed: Option<f64>,
    /// Until the end, if the attempt goes on like this.
    seconds_left: Option<u32>,
    /// Number of the newest attempt; 0 before the first.
    attempt: u32,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// The batch that it is part of; null where its owner asked for it.
    batch: Option<String>,
    /// Why it waits, where that is worth saying.
    waiting: Option<String>,
    /// Where it stands while it waits; only where one conversion is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    turn: Option<TurnView>,
    mp3: Option<Mp3View>,
    error: Option<FailureView>,
    /// What operators see besides; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    details: Option<DetailsView>,
}

/// What only operators see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Details)]
struct DetailsView {
    owner: String,
    /// What was seen when it failed; may be empty.
    failure: Option<String>,
    /// The attempts that were taken back last, oldest first.
    setbacks: Vec<SetbackView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setback)]
struct SetbackView {
    attempt: u32,
    at: Timestamp,
    /// `trouble`, `disruption`, `out_of_memory` or `never_started`.
    cause: &'static str,
    /// The exit code and the end of the log, or the cluster's reason.
    detail: String,
}

/// The names of [`State`].
#[derive(ToSchema)]
#[schema(as = State, rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the API")]
pub(crate) enum StateName {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mp3)]
struct Mp3View {
    #[schema(value_type = Uuid)]
    id: Mp3Id,
    /// Bytes.
    length: u64,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Sha256,
    duration_ms: u64,
    /// Null where no loudness was asked for, or there was none to be measured.
    #[schema(value_type = Option<LoudnessView>)]
    loudness: Option<Loudness>,
    /// When it is deleted; null means never.
    expires_at: Option<Timestamp>,
    url: String,
    /// How it was made; an MP3 of an earlier version has none.
    report_url: String,
    /// Likewise; what was not decoded has none.
    waveform_url: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView {
    /// Stable.
    code: &'static str,
    message: &'static str,
}

/// A video.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Video)]
pub(crate) struct VideoView {
    #[schema(value_type = Uuid)]
    id: VideoId,
    #[schema(value_type = String)]
    name: FileName,
    /// Bytes.
    length: u64,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Sha256,
    created_at: Timestamp,
    /// When it is deleted; null means never.
    expires_at: Option<Timestamp>,
}

/// The address of a conversion.
pub(crate) fn location(id: ConversionId) -> String {
    format!("/v1/conversions/{id}")
}

/// Differs whenever the text does.
pub(crate) fn tag_of(text: &[u8]) -> Option<ETag> {
    let digest = domain::Sha256::from(<[u8; 32]>::from(sha2::Sha256::digest(text)));
    format!("\"{:.16}\"", digest.to_string()).parse().ok()
}

impl From<Conversion> for ConversionView {
    fn from(record: Conversion) -> Self {
        let show = |mp3: Mp3| Mp3View {
            id: mp3.id,
            length: mp3.length,
            sha256: mp3.sha256,
            duration_ms: mp3.duration_ms,
            loudness: mp3.loudness,
            expires_at: record.mp3_expires_at,
            url: format!("{}/mp3", location(record.id)),
            report_url: format!("{}/report", location(record.id)),
            waveform_url: format!("{}/waveform", location(record.id)),
        };
        Self {
            id: record.id,
            video: record.video,
            name: record.name,
            options: record.options,
            state: record.state,
            progress: record.progress,
            speed: record.pace.map(Pace::speed),
            seconds_left: record.pace.map(|pace| pace.seconds_left),
            attempt: record.attempt,
            created_at: record.created_at,
            finished_at: record.finished_at,
            batch: record.batch.map(String::from),
            waiting: record.waiting,
            turn: None,
            mp3: record.mp3.map(show),
            error: record.failure.map(|failure| FailureView {
                code: failure.reason.code(),
                message: failure.reason.sentence(),
            }),
            details: None,
        }
    }
}

impl From<&Conversion> for DetailsView {
    fn from(record: &Conversion) -> Self {
        let show = |setback: &Setback| SetbackView {
            attempt: setback.attempt,
            at: setback.at,
            cause: setback.cause.name(),
            detail: setback.cause.detail().to_owned(),
        };
        Self {
            owner: record.owner.to_string(),
            failure: record.failure.as_ref().map(|failure| failure.detail.clone()),
            setbacks: record.setbacks.iter().map(show).collect(),
        }
    }
}

impl ConversionView {
    /// The record as somebody of this role sees it.
    pub(crate) fn shown_to(role: Role, record: Conversion) -> Self {
        let details = (role == Role::Admin).then(|| DetailsView::from(&record));
        Self { details, ..Self::from(record) }
    }

    /// With its turn, which its tag does not tell of.
    pub(crate) fn with_turn(self, turn: Option<TurnView>) -> Self {
        Self { turn, ..self }
    }

    /// Differs whenever anything of the view does.
    pub(crate) fn tag(&self) -> Option<ETag> {
        tag_of(&serde_json::to_vec(self).ok()?)
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
