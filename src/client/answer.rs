//! What the server answers, as far as the command line reads it. Fields it does not know are only
//! passed on, so that an older client works with a newer server.

use crate::unit;
use domain::{ConversionId, Preset, Sha256, State, VideoId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A conversion.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Conversion {
    /// Its id.
    pub(crate) id: ConversionId,
    /// The video's id.
    pub(crate) video: Option<VideoId>,
    /// What the video is called.
    pub(crate) name: String,
    /// How it is converted.
    pub(crate) preset: Preset,
    /// Where it stands.
    pub(crate) state: State,
    /// Percent.
    pub(crate) progress: Option<u64>,
    /// As a multiple of real time.
    pub(crate) speed: Option<f64>,
    /// Until the end.
    pub(crate) seconds_left: Option<u64>,
    /// Number of the newest attempt.
    pub(crate) attempt: u32,
    /// When it was accepted.
    pub(crate) created_at: Timestamp,
    /// Why it still waits.
    pub(crate) waiting: Option<String>,
    /// Where it stands while it waits; a list does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn>,
    /// The MP3, once there is one.
    pub(crate) mp3: Option<Mp3>,
    /// Why it failed.
    pub(crate) error: Option<Failure>,
    /// What else the server says of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl std::fmt::Display for Conversion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

impl Conversion {
    /// Why it waits, and until when, as far as that is known.
    pub(crate) fn remark(&self, now: Timestamp) -> String {
        let turn = self.turn.as_ref().map(|turn| turn.text(now));
        [self.waiting.clone(), turn].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A place among those that wait.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Turn {
    /// 1 for the next one.
    position: u64,
    /// When it will be done.
    finish_expected_at: Option<Timestamp>,
}

impl Turn {
    fn text(&self, now: Timestamp) -> String {
        let done = self.finish_expected_at.map(|at| {
            let seconds = at.duration_since(now).as_secs().max(0).unsigned_abs();
            format!(", done in about {}", unit::clock(seconds))
        });
        format!("number {} in the queue{}", self.position, done.unwrap_or_default())
    }
}

/// An MP3.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Mp3 {
    /// Bytes.
    pub(crate) length: u64,
    /// Of all its bytes.
    pub(crate) sha256: Sha256,
    /// Milliseconds of sound.
    pub(crate) duration_ms: u64,
    /// What else the server says of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Why a conversion failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Failure {
    /// The stable code.
    pub(crate) code: String,
    /// One sentence.
    pub(crate) message: String,
}

/// A page of something.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct List<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Me {
    /// The account's name.
    pub(crate) name: String,
}

/// An account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// user or admin.
    pub(crate) role: String,
    /// Whether it is locked out.
    pub(crate) disabled: bool,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// What else the server says of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A personal API token; its text is known only when it is made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ApiToken {
    /// Its id.
    pub(crate) id: String,
    /// What its owner calls it.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it ends; none means never.
    pub(crate) expires_at: Option<Timestamp>,
    /// What else the server says of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}
