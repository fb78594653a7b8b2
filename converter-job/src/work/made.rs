//! What the work has made: an MP3, and what is told of it in the texts beside it.

use crate::protocol::{Drawn, Facts};
use domain::{Loudness, Mp3Shape, Options, Report};
use jiff::Timestamp;
use std::time::Duration;
use storage::Beside;

/// This program, as reports name it.
const CONVERTER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// An MP3 that is all in its sink.
#[derive(Debug)]
pub(crate) struct Made {
    /// Of sound.
    pub(crate) duration_ms: u64,
    /// Bytes.
    pub(crate) length: u64,
    /// Where it was asked for.
    pub(crate) loudness: Option<Loudness>,
    /// What the decoder has found.
    pub(crate) facts: Facts,
    /// What it sounds like; none where nothing was decoded.
    pub(crate) drawn: Option<Drawn>,
    /// What the decoder had to say.
    pub(crate) warnings: Vec<String>,
}

impl Made {
    /// The texts for a conversion that was asked for like this and ends now.
    pub(crate) fn beside(&self, options: &Options, took: Duration) -> serde_json::Result<Beside> {
        let Facts { origin, sample_rate, channels } = &self.facts;
        let (sample_rate, channels) = (*sample_rate, *channels);
        let report = Report {
            origin: origin.clone(),
            duration_ms: self.duration_ms,
            loudness: self.loudness.clone(),
            peak_dbfs: self.drawn.as_ref().and_then(|drawn| drawn.peak),
            warnings: self.warnings.clone(),
            options: options.clone(),
            mp3: Mp3Shape { sample_rate, channels, length: self.length },
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            finished_at: Timestamp::now(),
            converter: CONVERTER.to_owned(),
        };
        let waveform = self.drawn.as_ref().map(|drawn| serde_json::to_string(&drawn.waveform));
        let waveform = waveform.transpose()?;
        Ok(Beside { report: serde_json::to_string(&report)?, waveform })
    }
}
