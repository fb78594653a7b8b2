//! What the messages say, and their JSON: a superset of `{"video_fid","mp3_fid","username"}`, so
//! that producers and consumers of the original system understand ours and we understand theirs.
//! Parsing never panics, whatever a foreign producer sends.

use domain::{ConversionId, EventId, TraceParent};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use uuid::Uuid;

/// Longest body that is parsed, in bytes; ours are below 1 KiB.
const LONGEST: usize = 64 * 1024;
/// The parent of ids that follow from a foreign video's id.
const FOREIGN_VIDEO: Uuid = Uuid::from_u128(0x6f1d_8a52_3c1b_4f0e_9b57_2d9c_64aa_1e03);

/// A queue, the same on both back ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// A video waits for its conversion.
    Video,
    /// A conversion has succeeded.
    Mp3,
    /// A conversion was cancelled, or a batch or the dispatching switch has changed.
    Control,
}

/// One message. It rings the doorbell; the record has the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A video waits for its conversion.
    Video(VideoMessage),
    /// A conversion has succeeded. Delivered at least once, each time with the same event id.
    Mp3(Mp3Message),
    /// A conversion was cancelled, or a batch or the dispatching switch has changed.
    Control(ControlMessage),
}

/// A video waits for its conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoMessage {
    /// The conversion; `None` from a producer of the original system, which knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionId>,
    /// The stored video.
    pub video_fid: String,
    /// Who uploaded it.
    #[serde(default)]
    pub username: Option<String>,
    /// The upload's trace.
    #[serde(
        rename = "traceparent",
        default,
        deserialize_with = "trace",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<TraceParent>,
}

/// A conversion has succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3Message {
    /// The same in every delivery of this event, so that consumers can drop what they have seen.
    pub event: EventId,
    /// The conversion.
    pub conversion: ConversionId,
    /// The stored video.
    pub video_fid: String,
    /// The stored MP3.
    pub mp3_fid: String,
    /// Whose it is.
    pub username: String,
    /// The MP3's file name.
    pub name: String,
    /// The upload's trace.
    #[serde(
        rename = "traceparent",
        default,
        deserialize_with = "trace",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<TraceParent>,
}

/// A conversion was cancelled, or a batch or the dispatching switch has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlMessage {
    /// The conversion; none where it was something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionId>,
    /// The upload's trace.
    #[serde(
        rename = "traceparent",
        default,
        deserialize_with = "trace",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<TraceParent>,
}

/// A body that is no message of its topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {topic} message: {fault}")]
pub struct BadMessage {
    /// The queue that it came from.
    pub topic: Topic,
    /// What is wrong with it.
    pub fault: String,
}

/// The part that every message has; the original's messages have none of it.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<String>,
    version: Option<u32>,
}

#[derive(Serialize)]
struct Wire<'a, Body> {
    #[serde(rename = "type")]
    kind: &'a str,
    version: u32,
    #[serde(flatten)]
    body: &'a Body,
}

/// The original's consumers look for `mp3_fid` in a video's message too, and expect null.
#[derive(Serialize)]
struct VideoBody<'a> {
    #[serde(flatten)]
    video: &'a VideoMessage,
    mp3_fid: (),
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 3] = [Self::Video, Self::Mp3, Self::Control];

    /// The queue's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Mp3 => "mp3",
            Self::Control => "control",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Message {
    /// The version that we write. One that changes a field's meaning gets the next number.
    pub const VERSION: u32 = 1;

    /// The queue that it goes to.
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Video(_) => Topic::Video,
            Self::Mp3(_) => Topic::Mp3,
            Self::Control(_) => Topic::Control,
        }
    }

    /// An id that follows from what the message says: said again, it has the same id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Video(VideoMessage { conversion: Some(id), .. }) => {
                Uuid::new_v5(&id.uuid(), b"video")
            }
            Self::Video(foreign) => Uuid::new_v5(&FOREIGN_VIDEO, foreign.video_fid.as_bytes()),
            Self::Mp3(mp3) => mp3.event.uuid(),
            Self::Control(control) => {
                let about = control.conversion.map_or(Uuid::nil(), ConversionId::uuid);
                Uuid::new_v5(&about, b"control")
            }
        }
    }

    /// The trace of the upload that it is about.
    pub const fn trace(&self) -> Option<&TraceParent> {
        match self {
            Self::Video(video) => video.trace.as_ref(),
            Self::Mp3(mp3) => mp3.trace.as_ref(),
            Self::Control(control) => control.trace.as_ref(),
        }
    }

    /// What a foreign producer wrote beside the body counts where the body says nothing.
    pub(crate) fn set_trace_if_none(&mut self, trace: Option<TraceParent>) {
        let own = match self {
            Self::Video(video) => &mut video.trace,
            Self::Mp3(mp3) => &mut mp3.trace,
            Self::Control(control) => &mut control.trace,
        };
        *own = own.take().or(trace);
    }

    /// The body as it goes over the wire.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let kind = self.topic().name();
        match self {
            Self::Video(video) => wire(kind, &VideoBody { video, mp3_fid: () }),
            Self::Mp3(mp3) => wire(kind, mp3),
            Self::Control(control) => wire(kind, control),
        }
    }

    /// Reads a body that came from `topic`; fields that we do not know are passed over.
    pub fn from_json(topic: Topic, body: &[u8]) -> Result<Self, BadMessage> {
        let bad = |fault: String| BadMessage { topic, fault };
        // It may quote the body.
        let json = |error: serde_json::Error| bad(error.to_string().chars().take(200).collect());
        if body.len() > LONGEST {
            return Err(bad(format!("{} bytes long", body.len())));
        }
        let envelope: Envelope = serde_json::from_slice(body).map_err(json)?;
        if let Some(kind) = envelope.kind.filter(|kind| kind != topic.name()) {
            return Err(bad(format!("its type is {kind:.40?}")));
        }
        if let Some(version) = envelope.version.filter(|version| *version != Self::VERSION) {
            let ours = Self::VERSION;
            return Err(bad(format!("its version is {version}, we read {ours}")));
        }
        let message = match topic {
            Topic::Video => Self::Video(serde_json::from_slice(body).map_err(json)?),
            Topic::Mp3 => Self::Mp3(serde_json::from_slice(body).map_err(json)?),
            Topic::Control => Self::Control(serde_json::from_slice(body).map_err(json)?),
        };
        match &message {
            Self::Video(VideoMessage { video_fid, .. }) if video_fid.is_empty() => {
                Err(bad("its video_fid is empty".to_owned()))
            }
            _ => Ok(message),
        }
    }
}

/// A trace is a courtesy: whatever else stands there is passed over.
fn trace<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TraceParent>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

fn wire<Body: Serialize>(kind: &str, body: &Body) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Wire { kind, version: Message::VERSION, body })
}

#[cfg(test)]
mod tests;
