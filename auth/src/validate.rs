//! `POST /validate`: a token in, its claims out. For clients of the original system; ours verify
//! tokens themselves, with the published keys.

use crate::{problem, routes::Service};
use headers::{Authorization, HeaderMapExt, authorization::Bearer};
use warp::{
    Reply,
    http::{HeaderMap, header},
    reply::{Response, json, with_header},
};

pub(crate) fn validate(service: &Service, headers: &HeaderMap) -> Response {
    let given: Option<Authorization<Bearer>> = headers.typed_get();
    match given.and_then(|given| service.keyring.verify(given.token())) {
        Some(claims) => {
            with_header(json(&claims), header::CACHE_CONTROL, "no-store").into_response()
        }
        None => problem::bad_token(),
    }
}
