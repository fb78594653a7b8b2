//! How the process ends: its exit code, and one line that says why.

use crate::work::{Made, Verdict};
use domain::{Exit, Failure, Loudness};
use std::{fs, io::Write, path::Path, time::Duration};

/// Used wrongly, as in sysexits(3).
const USAGE: u8 = 64;
/// Ended by SIGINT, as shells number it.
const INTERRUPTED: u8 = 130;

/// The end of the process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) code: u8,
    pub(crate) line: String,
}

impl Ending {
    fn new(exit: Exit, line: String) -> Self {
        Self { code: exit.code(), line }
    }

    /// The MP3 is there.
    pub(crate) fn succeeded(made: &Made, took: Duration) -> Self {
        let Made { duration_ms, length, loudness, .. } = made;
        let (seconds, took) = ((duration_ms + 500) / 1000, took.as_secs_f64());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let loudness = loudness.as_ref().map(|loudness| {
            let Loudness { integrated_lufs, true_peak_dbtp, gain_db } = loudness;
            format!(
                ", {integrated_lufs} LUFS and {true_peak_dbtp} dBTP before a gain of {gain_db} dB"
            )
        });
        let line = format!(
            "succeeded: {hours}:{minutes:02}:{seconds:02} of sound, {length} bytes, in {took:.1} s{}",
            loudness.unwrap_or_default()
        );
        Self::new(Exit::Done, line)
    }

    /// The video cannot be converted.
    pub(crate) fn failed(failure: &Failure) -> Self {
        let Failure { reason, detail } = failure;
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        Self::new(reason.exit(), format!("failed: {reason}: {}{detail}", reason.sentence()))
    }

    /// Something other than the video is to blame.
    pub(crate) fn trouble(detail: impl std::fmt::Display) -> Self {
        Self::new(Exit::Trouble, format!("trouble: {detail}"))
    }

    /// Somebody newer owns the conversion, or nobody wants it any more.
    pub(crate) fn superseded(why: impl std::fmt::Display) -> Self {
        Self::new(Exit::Done, format!("superseded: {why}"))
    }

    /// What the decoder's end means for an attempt that commits nothing of it.
    pub(crate) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Failed(failure) => Self::failed(failure),
            Verdict::Memory(detail) => {
                Self::new(Exit::OutOfMemory, format!("out_of_memory: {detail}"))
            }
            Verdict::Trouble(detail) => Self::trouble(detail),
            Verdict::Converted(_) => Self::trouble("the MP3 was made and not kept"),
        }
    }

    pub(crate) fn usage(detail: impl std::fmt::Display) -> Self {
        Self { code: USAGE, line: format!("usage: {detail}") }
    }

    /// A file or a folder that was named will not do.
    pub(crate) fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::usage(format!("{}: {why}", path.display()))
    }

    pub(crate) fn interrupted() -> Self {
        Self { code: INTERRUPTED, line: "interrupted".to_owned() }
    }

    /// Tells it on standard error, and in the termination log where there is one.
    pub(crate) fn tell(&self, termination_log: Option<&Path>) {
        let line = format!("converter-job: {}\n", self.line);
        let _ = std::io::stderr().write_all(line.as_bytes());
        // The kubelet makes the file; anywhere else there is none, and none may be left behind.
        if let Some(mut log) =
            termination_log.and_then(|path| fs::File::options().write(true).open(path).ok())
        {
            let _ = log.write_all(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Facts;
    use domain::{Origin, Reason};

    #[test]
    fn every_end_has_its_code_and_its_line() {
        let failure = Failure { reason: Reason::NoAudioTrack, detail: String::new() };
        let ending = Ending::failed(&failure);
        assert_eq!(ending.code, 65);
        assert!(ending.line.starts_with("failed: no_audio_track: The video has no sound"));
        let slow = Failure { reason: Reason::Deadline, detail: "60 s".to_owned() };
        assert_eq!(Ending::of(&Verdict::Failed(slow)).code, 66);
        assert_eq!(Ending::of(&Verdict::Memory(String::new())).code, 76);
        assert_eq!(Ending::trouble("disk").code, 75);
        let origin =
            Origin { container: String::new(), codec: String::new(), track: 1, tracks: vec![] };
        let made = Made {
            duration_ms: 3_723_999,
            length: 10,
            loudness: None,
            facts: Facts { origin, sample_rate: 48_000, channels: 2 },
            drawn: None,
            warnings: Vec::new(),
        };
        let done = Ending::succeeded(&made, Duration::from_millis(1_250));
        assert_eq!(done.line, "succeeded: 1:02:04 of sound, 10 bytes, in 1.2 s");
    }
}
