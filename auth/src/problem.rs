//! Every answer that is not a success: RFC 9457, with a stable `code`. An answer to a fault of ours
//! says nothing about its cause; the cause is logged here, once.

use crate::Error;
use serde_json::json;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::{Response, with_header, with_status},
};

/// Name or password is wrong. The same answer whatever it was.
pub(crate) fn wrong_password() -> Response {
    let detail = "The name or the password is not right.";
    let challenge = "Basic realm=\"audio-converter\", charset=\"UTF-8\"";
    unauthorized(detail, challenge)
}

/// The token is missing, forged or too old. The same answer whatever it was.
pub(crate) fn bad_token() -> Response {
    let detail = "The token is not valid, or no longer.";
    unauthorized(detail, "Bearer error=\"invalid_token\"")
}

pub(crate) fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    let detail = "This resource does not take that method.";
    let answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    with_header(answer, header::ALLOW, allowed).into_response()
}

pub(crate) fn body_too_large() -> Response {
    let detail = "Requests to this service need no body.";
    problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// The answer to an error.
pub(crate) fn from_error(error: &Error) -> Response {
    let (status, code, detail) = match error {
        Error::Busy => {
            let detail = "Many are logging in; try again in a moment.";
            (StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        }
        Error::Database(_) => {
            tracing::error!(%error, "a request failed for want of the database");
            let detail = "The accounts cannot be reached; try again in a moment.";
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
        _ => {
            tracing::error!(%error, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here.")
        }
    };
    let answer = problem(status, code, detail);
    if status != StatusCode::SERVICE_UNAVAILABLE {
        return answer;
    }
    with_header(answer, header::RETRY_AFTER, "1").into_response()
}

fn unauthorized(detail: &str, challenge: &str) -> Response {
    let answer = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    with_header(answer, header::WWW_AUTHENTICATE, challenge).into_response()
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
