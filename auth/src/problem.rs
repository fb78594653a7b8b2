//! Every answer that is not a success: RFC 9457, with a stable `code`. An answer to a fault of ours
//! says nothing about its cause; the cause is logged here, once.

use crate::{BadPassword, Error};
use serde_json::json;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::{Response, with_header, with_status},
};

/// Why a request is not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Name or password of a login is wrong. The same answer whatever it was.
    Login,
    /// The token is missing, forged, void or too old. The same answer whatever it was.
    Token,
    /// Not with this role or this kind of token; the text says with which.
    Forbidden(&'static str),
    /// The current password, which a new one needs, is wrong.
    WrongPassword,
    NotFound,
    /// The methods that the path takes.
    Method(&'static str),
    BadRequest(String),
    NotJson,
    TooLarge,
    TooSlow,
    NameTaken,
    LastAdmin,
    TooManyTokens,
    /// How many seconds to wait after wrong passwords.
    Later(u64),
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Refusal {
    pub(crate) fn bad_password(fault: &BadPassword) -> Self {
        Self::BadRequest(format!("{fault}."))
    }

    fn parts(&self) -> (StatusCode, &'static str, &str) {
        use StatusCode as S;
        match self {
            Self::Login => {
                (S::UNAUTHORIZED, "unauthorized", "The name or the password is not right.")
            }
            Self::Token => {
                (S::UNAUTHORIZED, "unauthorized", "The token is not valid, or no longer.")
            }
            Self::Forbidden(why) => (S::FORBIDDEN, "forbidden", why),
            Self::WrongPassword => {
                (S::FORBIDDEN, "wrong_password", "The current password is not right.")
            }
            Self::NotFound => (S::NOT_FOUND, "not_found", "There is nothing here."),
            Self::Method(_) => {
                let detail = "This resource does not take that method.";
                (S::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            }
            Self::BadRequest(why) => (S::BAD_REQUEST, "bad_request", why),
            Self::NotJson => {
                let detail = "The body must be JSON; send it with content-type: application/json.";
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
            }
            Self::TooLarge => {
                let detail = "Requests to this service have at most 16 KiB.";
                (S::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            Self::TooSlow => {
                (S::REQUEST_TIMEOUT, "request_timeout", "The body came too slowly; send it again.")
            }
            Self::NameTaken => {
                let detail = "The name is or was somebody's and is not given again; take another.";
                (S::CONFLICT, "name_taken", detail)
            }
            Self::LastAdmin => {
                let detail = "No administrator would be left; make another one first.";
                (S::CONFLICT, "last_admin", detail)
            }
            Self::TooManyTokens => {
                let detail = "The account has 100 tokens, which is the most; delete one first.";
                (S::CONFLICT, "too_many_tokens", detail)
            }
            Self::Later(_) => {
                let detail = "Too many wrong passwords for this name; try again later.";
                (S::TOO_MANY_REQUESTS, "too_many_requests", detail)
            }
            Self::Failed(error) => fault(error),
        }
    }
}

impl Reply for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        let answer = problem(status, code, detail);
        let (name, value) = match &self {
            Self::Login => {
                let challenge = "Basic realm=\"audio-converter\", charset=\"UTF-8\"";
                (header::WWW_AUTHENTICATE, challenge.to_owned())
            }
            Self::Token => (header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".to_owned()),
            Self::Method(allowed) => (header::ALLOW, (*allowed).to_owned()),
            Self::Later(seconds) => (header::RETRY_AFTER, seconds.to_string()),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, "1".to_owned()),
            _ => return answer,
        };
        with_header(answer, name, value).into_response()
    }
}

fn fault(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::Busy => {
            let detail = "Many are logging in; try again in a moment.";
            (StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        }
        Error::Database(_) => {
            tracing::error!(%error, "a request failed for want of the database");
            let detail = "The accounts cannot be reached; try again in a moment.";
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
        Error::TooManyKeys => {
            let detail = "There are 100 signing keys, which is the most; old ones leave by time.";
            (StatusCode::CONFLICT, "too_many_keys", detail)
        }
        _ => {
            tracing::error!(%error, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here.")
        }
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    let answer = with_status(body.to_string(), status);
    let answer = with_header(answer, header::CONTENT_TYPE, "application/problem+json");
    with_header(answer, header::CACHE_CONTROL, "no-store").into_response()
}
