//! What attempt and decoder say to each other over two pipes.
//!
//! A frame is one byte of kind, four of length (little endian) and that many of payload. The decoder
//! parses hostile media, so the attempt takes nothing from it on trust: a frame has a largest size,
//! and one that does not parse ends the decoder.

mod facts;

pub(crate) use facts::{Drawn, Facts};

use bytes::{Buf, BufMut, Bytes};
use domain::{Loudness, Options, Reason};
use serde::{Deserialize, Serialize};

/// Bytes before a payload.
pub(crate) const HEADER: usize = 5;
/// The largest payload, in either direction.
pub(crate) const MAX_PAYLOAD: usize = (1 << 20) + 8;
/// The most that one `Read` may ask for, and one `Append` or `Patch` may carry.
pub(crate) const MAX_BLOCK: usize = 1 << 20;
/// How far into the MP3 a `Patch` may reach: its tag and its header lie there.
pub(crate) const PATCHABLE: u64 = storage::PATCHABLE;
/// The longest detail of a failure.
const MAX_DETAIL: usize = 1 << 10;
/// The longest `Facts`.
const MAX_FACTS: usize = 64 << 10;

/// What the decoder is to do: the first frame it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What the MP3 is to be.
    #[serde(flatten)]
    pub(crate) options: Options,
    /// The video's bytes.
    pub(crate) length: u64,
    /// Seconds of processor time for each thread.
    pub(crate) run_limit_seconds: u64,
    /// Address space.
    pub(crate) memory_bytes: u64,
    /// That may encode.
    pub(crate) threads: u32,
    /// Whether one thread encodes, with the bit reservoir on.
    pub(crate) serial: bool,
}

/// What the decoder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// It wants these bytes of the video; the answer is one `Data` frame, shorter only at the end.
    Read { offset: u64, length: u32 },
    /// The MP3's next bytes.
    Append(Bytes),
    /// The MP3's bytes at `offset`, instead of those sent before.
    Patch { offset: u64, bytes: Bytes },
    /// How far it is, 0 to 100, and how much sound that was.
    Progress { percent: u8, sound_ms: u64 },
    /// Something worth a line in the log.
    Notice(String),
    /// What it has found, once it is sure that there is sound; said once, and never left out.
    Facts(Box<Facts>),
    /// What the sound is like, at its end; said at most once.
    Waveform(Box<Drawn>),
    /// The MP3 is whole.
    Done { duration_ms: u64, loudness: Option<Loudness> },
    /// The video cannot be converted.
    Failed { reason: Reason, detail: String },
}

/// The reasons a decoder may give; their places in this list go over the pipe.
pub(crate) const REASONS: [Reason; 8] = [
    Reason::NotMedia,
    Reason::UnsupportedFormat,
    Reason::NoAudioTrack,
    Reason::Encrypted,
    Reason::OverLimits,
    Reason::Truncated,
    Reason::NoSuchTrack,
    Reason::StartAfterEnd,
];

/// A frame that breaks the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame that breaks the protocol: kind {kind}, {length} bytes")]
pub(crate) struct Malformed {
    kind: u8,
    length: usize,
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which frame.
    pub(crate) kind: u8,
    /// Bytes of payload, never more than [`MAX_PAYLOAD`].
    pub(crate) length: usize,
}

impl Header {
    /// The header of a frame from the attempt to the decoder.
    pub(crate) const JOB: u8 = b'J';
    /// As above.
    pub(crate) const DATA: u8 = b'D';

    pub(crate) fn parse(bytes: [u8; HEADER]) -> Result<Self, Malformed> {
        let [kind, length @ ..] = bytes;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_PAYLOAD {
            return Err(Malformed { kind, length });
        }
        Ok(Self { kind, length })
    }

    pub(crate) fn encode(kind: u8, length: usize) -> [u8; HEADER] {
        // A payload is at most MAX_PAYLOAD; a longer one would be refused by its reader.
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        [kind, a, b, c, d]
    }
}

impl Request {
    /// The whole frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = vec![0; HEADER];
        let kind = match self {
            Self::Read { offset, length } => {
                frame.put_u64_le(*offset);
                frame.put_u32_le(*length);
                b'r'
            }
            Self::Append(bytes) => {
                frame.extend_from_slice(bytes);
                b'a'
            }
            Self::Patch { offset, bytes } => {
                frame.put_u64_le(*offset);
                frame.extend_from_slice(bytes);
                b'p'
            }
            Self::Progress { percent, sound_ms } => {
                frame.put_u8(*percent);
                frame.put_u64_le(*sound_ms);
                b'%'
            }
            Self::Notice(text) => {
                frame.extend_from_slice(shortened(text).as_bytes());
                b'n'
            }
            Self::Facts(facts) => {
                frame.extend_from_slice(&facts.encode());
                b'i'
            }
            Self::Waveform(drawn) => {
                drawn.encode(&mut frame);
                b'w'
            }
            Self::Done { duration_ms, loudness } => {
                frame.put_u64_le(*duration_ms);
                if let Some(Loudness { integrated_lufs, true_peak_dbtp, gain_db }) = loudness {
                    for level in [integrated_lufs, true_peak_dbtp, gain_db] {
                        frame.put_f64_le((*level).into());
                    }
                }
                b'd'
            }
            Self::Failed { reason, detail } => {
                let place = REASONS.iter().position(|known| known == reason);
                frame.put_u8(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0));
                frame.extend_from_slice(shortened(detail).as_bytes());
                b'f'
            }
        };
        let length = frame.len() - HEADER;
        frame[..HEADER].copy_from_slice(&Header::encode(kind, length));
        frame
    }

    /// Reads a payload.
    pub(crate) fn decode(header: Header, mut payload: Bytes) -> Result<Self, Malformed> {
        let Header { kind, length } = header;
        let fits = match kind {
            b'r' => length == 12,
            b'a' => (1..=MAX_BLOCK).contains(&length),
            b'p' => (9..=MAX_BLOCK + 8).contains(&length),
            b'%' => length == 9,
            b'n' => length <= MAX_DETAIL,
            b'i' => length <= MAX_FACTS,
            b'w' => length <= Drawn::MOST,
            b'd' => length == 8 || length == 32,
            b'f' => (1..=MAX_DETAIL + 1).contains(&length),
            _ => false,
        };
        let broken = Malformed { kind, length };
        if !fits || payload.len() != length {
            return Err(broken);
        }
        Ok(match kind {
            b'r' => Self::Read { offset: payload.get_u64_le(), length: payload.get_u32_le() }
                .checked()?,
            b'a' => Self::Append(payload),
            b'p' => Self::Patch { offset: payload.get_u64_le(), bytes: payload },
            b'%' => {
                let percent = payload.get_u8().min(100);
                Self::Progress { percent, sound_ms: payload.get_u64_le() }
            }
            b'n' => Self::Notice(printable(&payload)),
            b'i' => Self::Facts(Facts::decode(&payload).map(Box::new).ok_or(broken)?),
            b'w' => Self::Waveform(Drawn::decode(&mut payload).map(Box::new).ok_or(broken)?),
            b'd' => Self::Done {
                duration_ms: payload.get_u64_le(),
                loudness: facts::loudness(&mut payload).map_err(|_| broken)?,
            },
            _ => {
                let place = usize::from(payload.get_u8());
                let reason = *REASONS.get(place).ok_or(broken)?;
                Self::Failed { reason, detail: printable(&payload) }
            }
        })
    }

    fn checked(self) -> Result<Self, Malformed> {
        match self {
            Self::Read { length, .. } if length as usize > MAX_BLOCK => {
                Err(Malformed { kind: b'r', length: length as usize })
            }
            fine => Ok(fine),
        }
    }
}

/// As much of the text as a frame may carry.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_DETAIL)]
}

/// Text from the decoder, which may have been chosen by whoever made the video.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
