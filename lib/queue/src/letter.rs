//! Dead letters: messages that were put aside for a human, with the reason. Somebody lists them,
//! and then has each replayed or dropped; both are safe to repeat.

use crate::{Message, Topic};
use domain::TraceParent;
use jiff::Timestamp;
use uuid::Uuid;

/// How many dead letters of one topic are looked at for a list, the oldest first.
pub(crate) const IN_SIGHT: u32 = 10_000;
/// How much of a body is shown, in bytes.
const SHOWN: usize = 4096;
/// The parent of the ids.
const LETTER: Uuid = Uuid::from_u128(0x7a1c_53d0_42e9_4c6b_8d0f_91b7_e35a_c284);

/// A message that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Follows from the message, so that it is the same whenever and wherever it is listed. A
    /// message that was put aside twice is there twice, and both go at once.
    pub id: Uuid,
    /// The queue that it came from, and goes back to.
    pub topic: Topic,
    /// Why it was put aside.
    pub reason: String,
    /// When it was put aside, where that is known.
    pub at: Option<Timestamp>,
    /// How many times it had been delivered by then; 0 where that is not known.
    pub deliveries: u32,
    /// Its first 4 KiB, as far as they are text.
    pub body: String,
    /// All of its bytes.
    pub length: u64,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
}

/// What becomes of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes back into the queue that it came from.
    Replayed,
    /// It is deleted.
    Dropped,
}

impl DeadLetter {
    /// A letter of which no more is known than the message.
    pub(crate) fn new(topic: Topic, message_id: Option<&str>, body: &[u8]) -> Self {
        let trace = Message::from_json(topic, body).ok();
        Self {
            id: id(topic, message_id, body),
            topic,
            reason: String::new(),
            at: None,
            deliveries: 0,
            body: String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned(),
            length: body.len() as u64,
            trace: trace.and_then(|message| message.trace().cloned()),
        }
    }
}

/// Of a foreign producer's message ids nobody knows what they mean, so the body counts too.
pub(crate) fn id(topic: Topic, message_id: Option<&str>, body: &[u8]) -> Uuid {
    let mut name = format!("{topic}\n{}\n", message_id.unwrap_or_default()).into_bytes();
    name.extend_from_slice(body);
    Uuid::new_v5(&LETTER, &name)
}
