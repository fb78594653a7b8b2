//! What is stored beside a file: texts that come and go with it, and need no marker of their own.

use serde::{Deserialize, Serialize};

/// The texts beside an MP3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// How it was made, in JSON.
    pub report: String,
    /// What it sounds like, in JSON; none where that was not measured.
    pub waveform: Option<String>,
}
