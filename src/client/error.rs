//! Why a request did not work, and whether it is worth another try.

use crate::config::Credentials;
use reqwest::{Response, StatusCode, Url, header::RETRY_AFTER};
use serde::Deserialize;
use std::time::Duration;

/// Why a request did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server does not know who asks.
    #[error("{0}")]
    NotSignedIn(String),
    /// No answer, or half of one.
    #[error("{server} does not answer ({cause}). Check the address, and that the server runs")]
    Unreachable {
        /// Whom.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server said no.
    #[error("{server} refused: {problem}")]
    Refused {
        /// Who.
        server: String,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The answer is none that this program understands.
    #[error(
        "{server} gave an answer that is not the converter's ({cause}). Check the address, and that both sides are of the same version"
    )]
    Strange {
        /// Who.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The MP3 arrived with other bytes than were sent.
    #[error("the MP3 arrived damaged: {0}. Download it again")]
    Damaged(String),
    /// The trouble is with a file on this side.
    #[error(transparent)]
    Disk(#[from] std::io::Error),
}

/// What an error's body says.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable code.
    pub(crate) code: String,
    #[serde(default)]
    title: String,
    detail: Option<String>,
    /// Seconds after which it may work.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.detail.as_deref().unwrap_or(&self.title);
        write!(f, "{} ({} {})", text.trim_end_matches('.'), self.status, self.code)?;
        self.advice().map_or(Ok(()), |advice| write!(f, ". {advice}"))
    }
}

impl Problem {
    /// What the user can do about it, where the server's sentence does not say so.
    fn advice(&self) -> Option<String> {
        if let Some(seconds) = self.retry_after {
            return Some(format!("Try again in {seconds} s"));
        }
        let advice = match self.code.as_str() {
            "storage_full" => "Somebody must make room on the server",
            "quota_exceeded" => "`audio-converter delete ID` makes room",
            "busy" | "unavailable" => "Try again in a few minutes",
            "internal" => "The server's log says more",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

impl Error {
    /// No answer, or half of one.
    pub(super) fn unreachable(server: &Url, cause: &reqwest::Error) -> Self {
        Self::Unreachable { server: name(server), cause: why(cause) }
    }

    /// Nothing came for too long.
    pub(super) fn silent(server: &Url) -> Self {
        Self::Unreachable { server: name(server), cause: "nothing came for a minute".to_owned() }
    }

    /// An answer that is not a success.
    pub(super) async fn refused(
        server: &Url,
        credentials: Option<&Credentials>,
        answer: Response,
    ) -> Self {
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Self::unknown(server, credentials);
        }
        let server = name(server);
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|s| s.to_str().ok()?.parse().ok());
        let bytes = answer.bytes().await.unwrap_or_default();
        let mut problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
            status: status.as_u16(),
            code: if status.is_server_error() { "unavailable" } else { "unknown" }.to_owned(),
            title: status.canonical_reason().unwrap_or("no reason").to_owned(),
            detail: None,
            retry_after,
        });
        problem.retry_after = retry_after;
        Self::Refused { server, problem: Box::new(problem) }
    }

    /// How long the server wants to be left alone.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Refused { problem, .. } => Duration::from_secs(problem.retry_after.unwrap_or(0)),
            _ => Duration::ZERO,
        }
    }

    /// The server does not know who asks.
    pub(crate) fn unknown(server: &Url, credentials: Option<&Credentials>) -> Self {
        let server = name(server);
        let login = format!("`audio-converter login --server {server}`");
        Self::NotSignedIn(match credentials {
            None => format!(
                "{server} wants to know who you are. {login} signs in; scripts set AUDIO_CONVERTER_TOKEN, \
             or AUDIO_CONVERTER_USER and AUDIO_CONVERTER_PASSWORD"
            ),
            Some(Credentials::Stored(_)) => {
                format!("your login at {server} has run out or was revoked. {login} signs in again")
            }
            Some(Credentials::Token(_)) => format!(
                "{server} does not accept the token in AUDIO_CONVERTER_TOKEN: it has run out or was \
             revoked. Set a new one (`audio-converter token create`), or unset it and use {login}"
            ),
            Some(Credentials::Account { user, .. }) => format!(
                "{server} does not accept {user} with this password. Check both, and \
             AUDIO_CONVERTER_USER and AUDIO_CONVERTER_PASSWORD where they are set"
            ),
        })
    }

    /// Whether the same request may work a little later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Damaged(_) => true,
            // 502 and 504 are what proxies say while a server starts.
            Self::Refused { problem, .. } => matches!(problem.status, 429 | 502..=504),
            Self::NotSignedIn(_) | Self::Strange { .. } | Self::Disk(_) => false,
        }
    }
}

/// The address as people write it.
pub(crate) fn name(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

/// The innermost cause: the outer ones only repeat the address.
fn why(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Problem {
        let body = serde_json::json!({"type": "about:blank", "title": "T", "status": status, "detail": "It is so.", "code": code});
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn only_passing_trouble_is_tried_again() {
        for (status, code, passes) in [
            (503, "busy", true),
            (507, "storage_full", false),
            (413, "body_too_large", false),
            (500, "internal", false),
        ] {
            let error =
                Error::Refused { server: String::new(), problem: Box::new(problem(status, code)) };
            assert_eq!(error.may_pass(), passes, "{error}");
        }
    }

    #[test]
    fn a_problem_reads_as_a_sentence() {
        assert_eq!(problem(413, "body_too_large").to_string(), "It is so (413 body_too_large)");
        assert_eq!(
            problem(507, "storage_full").to_string(),
            "It is so (507 storage_full). Somebody must make room on the server"
        );
    }
}
