//! What the server answers, as far as the command line reads it. Fields it does not know are only
//! passed on, so that an older client works with a newer server.

use domain::{ConversionId, Preset, Sha256, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A conversion.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Conversion {
    /// Its id.
    pub(crate) id: ConversionId,
    /// What the video is called.
    pub(crate) name: String,
    /// How it is converted.
    pub(crate) preset: Preset,
    /// Where it stands.
    pub(crate) state: State,
    /// Percent.
    pub(crate) progress: Option<u64>,
    /// Number of the newest attempt.
    pub(crate) attempt: u32,
    /// When it was accepted.
    pub(crate) created_at: Timestamp,
    /// Why it still waits.
    pub(crate) waiting: Option<String>,
    /// The MP3, once there is one.
    pub(crate) mp3: Option<Mp3>,
    /// Why it failed.
    pub(crate) error: Option<Failure>,
    /// What else the server says of it.
    #[serde(flatten)]
    rest: Map<String, Value>,
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

/// A page of conversions, newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct List {
    /// The conversions.
    pub(crate) items: Vec<Conversion>,
    /// Whether there are older ones.
    pub(crate) next: Option<String>,
}
