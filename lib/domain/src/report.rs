//! What is told of a conversion beside its MP3: where the sound came from, and what became of it.

use crate::{Decibels, Language, Loudness, Options};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One conversion as its report has it, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The file that it was made from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Of the MP3's sound.
    pub duration_ms: u64,
    /// None where no loudness was asked for, or there was none to be measured.
    pub loudness: Option<Loudness>,
    /// The highest sample of any channel as it was encoded; none of silence, and where nothing was
    /// decoded.
    pub peak_dbfs: Option<Decibels>,
    /// What the converter had to say of the file, at most four sentences.
    pub warnings: Vec<String>,
    /// How it was asked for.
    pub options: Options,
    /// What it became.
    pub mp3: Mp3Shape,
    /// Milliseconds that the attempt took.
    pub took_ms: u64,
    /// When all of the MP3 was there.
    pub finished_at: Timestamp,
    /// The program and its version.
    pub converter: String,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// FFmpeg's name for the container, which may be several: `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name for the codec of the track that was taken.
    pub codec: String,
    /// Which track of sound was taken; the first is 1.
    pub track: u8,
    /// All tracks of sound, in the order of the file.
    pub tracks: Vec<SoundTrack>,
}

/// One track of sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundTrack {
    /// By which it can be asked for; the first is 1.
    pub number: u8,
    /// FFmpeg's name.
    pub codec: String,
    /// None where the file does not say.
    pub language: Option<Language>,
    /// None where the file's head does not say.
    pub channels: Option<u32>,
    /// None where the file's head does not say.
    pub sample_rate: Option<u32>,
    /// Marked as the one to play.
    pub default: bool,
}

/// The form of an MP3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3Shape {
    /// Samples a second.
    pub sample_rate: u32,
    /// One or two.
    pub channels: u8,
    /// Bytes.
    pub length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_is_written() {
        let text = serde_json::json!({
            "container": "matroska,webm", "codec": "opus", "track": 2,
            "tracks": [
                {"number": 1, "codec": "aac", "language": "eng", "channels": 6, "sample_rate": 48000, "default": true},
                {"number": 2, "codec": "opus", "language": null, "channels": null, "sample_rate": null, "default": false},
            ],
            "duration_ms": 61500,
            "loudness": {"integrated_lufs": -23.4, "true_peak_dbtp": -5, "gain_db": 4},
            "peak_dbfs": -1.25, "warnings": ["the file is cut off"],
            "options": {"preset": "v2", "allow_truncated": true, "track": "2"},
            "mp3": {"sample_rate": 48000, "channels": 2, "length": 1_476_000},
            "took_ms": 1200, "finished_at": "2026-11-23T06:00:00Z", "converter": "converter-job 0.1.0",
        });
        let report: Report = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(report.origin.tracks[0].language.unwrap().to_string(), "eng");
        assert_eq!(serde_json::to_value(report).unwrap(), text);
    }
}
