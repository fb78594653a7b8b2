//! How an attempt can end: the exit codes of `converter-job`, the reasons that users read, and the
//! causes for which the dispatcher takes an attempt back.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a conversion failed for good. The codes are a promise to users: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file holds no bytes.
    EmptyFile,
    /// The bytes are no audio or video that can be read.
    NotMedia,
    /// A format that is not on the allow-list, such as a playlist that names other files.
    UnsupportedFormat,
    /// A video without sound.
    NoAudioTrack,
    /// No track of sound has the number or the language that was asked for.
    NoSuchTrack,
    /// The sound ends before the start that was asked for.
    StartAfterEnd,
    /// The file ends before its own end says.
    Truncated,
    /// The sound is encrypted.
    Encrypted,
    /// The sound breaks the limits on sample rate, channels, tracks or duration.
    OverLimits,
    /// It ran longer than one conversion may.
    Deadline,
    /// It needed more memory than one conversion may have, twice.
    OutOfMemory,
    /// Every attempt ended in trouble that was not the video's fault.
    AttemptsExhausted,
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyFile => "empty_file",
            Self::NotMedia => "not_media",
            Self::UnsupportedFormat => "unsupported_format",
            Self::NoAudioTrack => "no_audio_track",
            Self::NoSuchTrack => "no_such_track",
            Self::StartAfterEnd => "start_after_end",
            Self::Truncated => "truncated",
            Self::Encrypted => "encrypted",
            Self::OverLimits => "over_limits",
            Self::Deadline => "deadline",
            Self::OutOfMemory => "out_of_memory",
            Self::AttemptsExhausted => "attempts_exhausted",
        }
    }

    /// One sentence for the user: what happened and what to do.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::EmptyFile => "The file is empty; upload it again from the original.",
            Self::NotMedia => {
                "The file is no video or audio that can be read; check that it plays."
            }
            Self::UnsupportedFormat => {
                "This kind of file is not accepted; convert it to MP4, MKV, WebM or MOV first."
            }
            Self::NoAudioTrack => "The video has no sound, so there is nothing to put into an MP3.",
            Self::NoSuchTrack => "The video has no such track of sound; name another one, or none.",
            Self::StartAfterEnd => "The sound ends before the start; choose an earlier one.",
            Self::Truncated => {
                "The file is cut off; upload it again, or ask to convert what is there (allow_truncated)."
            }
            Self::Encrypted => "The sound is encrypted; upload a copy without protection.",
            Self::OverLimits => {
                "The sound is outside the limits for sample rate, channels, tracks or length."
            }
            Self::Deadline => "The conversion took longer than allowed; try a shorter video.",
            Self::OutOfMemory => "The conversion needed more memory than allowed, twice.",
            Self::AttemptsExhausted => {
                "The conversion was tried three times and met trouble each time; try again later."
            }
        }
    }

    /// The exit code of an attempt that has committed this reason.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Deadline => Exit::Deadline,
            Self::OutOfMemory => Exit::OutOfMemory,
            Self::AttemptsExhausted => Exit::Trouble,
            _ => Exit::BadInput,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What `converter-job` ends with. The numbers follow sysexits(3) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The MP3 is the record's result, or somebody newer owns the conversion.
    Done,
    /// The input's fault; the reason is committed; never tried again.
    BadInput,
    /// The run limit; committed; never tried again.
    Deadline,
    /// Trouble outside (a database, a disk); worth another attempt.
    Trouble,
    /// The decoder died for want of memory; worth one attempt with more.
    OutOfMemory,
}

impl Exit {
    /// The process exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::BadInput => 65,
            Self::Deadline => 66,
            Self::Trouble => 75,
            Self::OutOfMemory => 76,
        }
    }

    /// The meaning of an exit code; codes that are none of ours are trouble.
    pub const fn from_code(code: i32) -> Self {
        match code {
            0 => Self::Done,
            65 => Self::BadInput,
            66 => Self::Deadline,
            76 => Self::OutOfMemory,
            _ => Self::Trouble,
        }
    }
}

/// Why the dispatcher takes an attempt back without a verdict from it, with what was seen: an exit
/// code, the end of the log, the cluster's own reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum Cause {
    /// It ended in trouble or fell silent: counts against the three.
    Trouble(String),
    /// Its node or its server went away: does not count.
    Disruption(String),
    /// It was killed for memory: once more, with more.
    OutOfMemory(String),
    /// It never started: back to waiting, does not count.
    NeverStarted(String),
}

impl Cause {
    /// The word for it in metrics and Events.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Trouble(_) => "trouble",
            Self::Disruption(_) => "disruption",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::NeverStarted(_) => "never_started",
        }
    }

    /// What was seen.
    pub fn detail(&self) -> &str {
        match self {
            Self::Trouble(detail)
            | Self::Disruption(detail)
            | Self::OutOfMemory(detail)
            | Self::NeverStarted(detail) => detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_read_back() {
        for exit in [Exit::Done, Exit::BadInput, Exit::Deadline, Exit::Trouble, Exit::OutOfMemory] {
            assert_eq!(Exit::from_code(exit.code().into()), exit);
        }
        assert_eq!(Exit::from_code(137), Exit::Trouble);
    }

    #[test]
    fn the_code_is_the_serialised_name() {
        for reason in [Reason::EmptyFile, Reason::UnsupportedFormat, Reason::AttemptsExhausted] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }
}
