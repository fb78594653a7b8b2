//! Everything that can go wrong with a request, and the one answer to each: a problem (RFC 9457)
//! with a stable code. What clients cannot change is told in general words; its cause goes to the
//! log, once, here.

use domain::{Refused, State};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use storage::ChangeError;
use utoipa::ToSchema;
use warp::reply::{Reply, Response};

/// Why a request was not done. The text of those below 500 is what the client reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("A valid token is needed: Authorization: Bearer TOKEN. POST /login gives one.")]
    Unauthorized,
    #[error("The user name or the password is wrong.")]
    BadCredentials,
    #[error("Only an administrator may do this.")]
    Forbidden,
    #[error("Another batch has this id; choose another one.")]
    BatchExists,
    #[error("The batch has ended and stays as it is; make another one.")]
    BatchFinal,
    #[error("There is no such thing here.")]
    NotFound,
    #[error(
        "Nothing of this kind is stored beside the MP3: it was made by an earlier version, or without decoding the sound."
    )]
    NotBeside,
    #[error("This address does not take this method.")]
    MethodNotAllowed,
    #[error("The body did not arrive in time.")]
    TooSlow,
    #[error("The conversion is {}; there is no MP3 yet.", .0.as_str())]
    NotReady(State),
    #[error("{0}")]
    ConversionFailed(&'static str),
    #[error("The conversion is already {}.", .0.as_str())]
    AlreadyFinal(State),
    #[error("Only a conversion that failed or was cancelled is tried again; this one is {}.", .0.as_str())]
    NotRetryable(State),
    #[error("The video is no longer stored; upload it again.")]
    VideoGone,
    #[error("The MP3's time is over and it has been deleted; convert the video again.")]
    Mp3Expired,
    #[error(
        "Your videos and MP3s would pass your share of the disk: {0} bytes are left of it. Delete some first."
    )]
    QuotaExceeded(u64),
    #[error("You have {0} conversions waiting, as many as allowed; wait until one has ended.")]
    TooManyWaiting(u64),
    #[error("The body is longer than the {0} bytes allowed here.")]
    TooLarge(u64),
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    #[error("The range lies outside the {0} bytes there are.")]
    OutOfRange(u64),
    #[error("{0}")]
    BadRequest(String),
    #[error("This Idempotency-Key was used for a request with another body or other options.")]
    KeyReused,
    #[error("Too many attempts; wait before the next one.")]
    Throttled(Option<HeaderValue>),
    #[error("the client went away: {0}")]
    ClientGone(String),
    #[error("too much is going on")]
    Busy,
    #[error("{0}")]
    Unavailable(String),
    #[error("the disk is full")]
    StorageFull,
    #[error("{0}")]
    Internal(String),
}

/// The body of an answer that is an error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// What happened, why, and what to do.
    detail: &'a str,
    /// Stable; docs/api.md lists them.
    code: &'static str,
}

impl Error {
    pub(crate) fn bad_request(detail: impl ToString) -> Self {
        Self::BadRequest(detail.to_string())
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::ClientGone(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::BadCredentials => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::NotBeside => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotReady(_)
            | Self::ConversionFailed(_)
            | Self::AlreadyFinal(_)
            | Self::NotRetryable(_)
            | Self::BatchExists
            | Self::BatchFinal => StatusCode::CONFLICT,
            Self::VideoGone | Self::Mp3Expired => StatusCode::GONE,
            Self::Forbidden | Self::QuotaExceeded(_) => StatusCode::FORBIDDEN,
            Self::TooManyWaiting(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OutOfRange(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::ClientGone(_) => "bad_request",
            Self::Unauthorized | Self::BadCredentials => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::BatchExists => "batch_exists",
            Self::BatchFinal => "batch_final",
            Self::NotFound | Self::NotBeside => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "request_timeout",
            Self::NotReady(_) => "not_ready",
            Self::ConversionFailed(_) => "conversion_failed",
            Self::AlreadyFinal(_) => "already_final",
            Self::NotRetryable(_) => "not_retryable",
            Self::VideoGone => "video_gone",
            Self::Mp3Expired => "mp3_expired",
            Self::QuotaExceeded(_) => "quota_exceeded",
            Self::TooManyWaiting(_) => "too_many_waiting",
            Self::TooLarge(_) => "body_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::OutOfRange(_) => "range_not_satisfiable",
            Self::KeyReused => "idempotency_key_reused",
            Self::Throttled(_) => "too_many_requests",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Internal(_) => "internal",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Busy => "The server is busy; try again in a moment.".to_owned(),
            Self::Unavailable(_) => {
                "A part of the service is away; try again in a moment.".to_owned()
            }
            Self::StorageFull => {
                "The server's disk is too full for this now; try again later.".to_owned()
            }
            Self::Internal(_) => "Something is wrong on the server.".to_owned(),
            Self::ClientGone(_) => "The body ended too early.".to_owned(),
            error => error.to_string(),
        }
    }

    /// A header that this answer carries besides.
    fn header(&self) -> Option<(http::HeaderName, HeaderValue)> {
        let fixed = HeaderValue::from_static;
        match self {
            Self::Unauthorized => Some((WWW_AUTHENTICATE, fixed("Bearer error=\"invalid_token\""))),
            Self::BadCredentials => {
                Some((WWW_AUTHENTICATE, fixed("Basic realm=\"audio-converter\"")))
            }
            Self::Busy | Self::Unavailable(_) => Some((RETRY_AFTER, fixed("5"))),
            Self::TooManyWaiting(_) => Some((RETRY_AFTER, fixed("30"))),
            Self::StorageFull => Some((RETRY_AFTER, fixed("60"))),
            Self::Throttled(wait) => wait.clone().map(|wait| (RETRY_AFTER, wait)),
            Self::OutOfRange(length) => HeaderValue::try_from(format!("bytes */{length}"))
                .ok()
                .map(|value| (CONTENT_RANGE, value)),
            _ => None,
        }
    }
}

impl Reply for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            // These pass by themselves.
            Self::Busy | Self::Unavailable(_) => {
                tracing::warn!(error = %self, http.code = self.code(), "a request was put off");
            }
            _ if status.is_server_error() => {
                tracing::error!(error = %self, http.code = self.code(), "a request could not be done");
            }
            _ => {}
        }
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail(),
            code: self.code(),
        };
        let mut response = warp::reply::json(&problem).into_response();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.header());
        response
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::NotFound => Self::NotFound,
            storage::Error::Full => Self::StorageFull,
            storage::Error::Unavailable(cause) => Self::Unavailable(format!("storage: {cause}")),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<queue::Error> for Error {
    fn from(error: queue::Error) -> Self {
        match error {
            queue::Error::NoSuchLetter => Self::NotFound,
            queue::Error::Unavailable(cause) => Self::Unavailable(format!("messages: {cause}")),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(Refused::Terminal(state)) => Self::AlreadyFinal(state),
            ChangeError::Refused(Refused::Gone) => Self::NotFound,
            ChangeError::Refused(refused) => Self::Internal(refused.to_string()),
            ChangeError::Storage(error) => error.into(),
        }
    }
}
