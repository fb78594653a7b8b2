//! Messages that ring the doorbell: RabbitMQ on a cluster, an SQLite table on one machine.
//!
//! A message never holds the only copy of anything: the record does. What must hold: `publish`
//! returns after the broker has confirmed; a delivery that is neither acked nor rejected comes again
//! once its consumer is gone; a delivery may come twice.

mod consumer;
mod embedded;
mod letter;
mod message;
mod rabbit;

pub use consumer::{Consumer, Delivery, Item};
pub use embedded::Embedded;
pub use letter::DeadLetter;
pub use message::{BadMessage, ControlMessage, Message, Mp3Message, Topic, VideoMessage};
pub use rabbit::Rabbit;

use domain::Finding;
use letter::Fate;
use std::{path::Path, time::Duration};
use uuid::Uuid;

/// Longest wait for a confirm, whatever has to be connected and declared for it.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How many deliveries one consumer may hold unsettled. The record is the queue, so nothing is held
/// for long; ten hide the round trip and are few enough to come again when a process dies.
const PREFETCH: u16 = 10;
/// How many `mp3` messages and how many dead letters are kept, as nobody may be listening.
const LONGEST_QUEUE: u32 = 100_000;
/// How long `mp3` messages are kept.
const MP3_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A way to send and receive messages. Clones share their connection.
#[derive(Clone, Debug)]
pub enum Queue {
    /// A RabbitMQ broker, 3.10 or newer.
    Rabbit(Rabbit),
    /// An SQLite file that this process alone has open.
    Embedded(Embedded),
}

/// A message was not sent, or a delivery not settled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker or the file did not take it in time. It may still have arrived.
    #[error("the messages are unavailable: {0}")]
    Unavailable(String),
    /// The address is not one of ours. Never holds the address, which may have a password in it.
    #[error("not an address of messages: {0}")]
    Address(String),
    /// The queue of this name is missing and could not be made.
    #[error("no queue took the message: {0}")]
    Unroutable(String),
    /// The broker answered that it could not keep the message.
    #[error("the broker refused the message for queue {0}")]
    Refused(String),
    /// The delivery's connection is gone, so the message comes again.
    #[error("the delivery was lost with its connection")]
    Lost,
    /// It was replayed or dropped by somebody else, or never was.
    #[error("there is no such dead letter")]
    NoSuchLetter,
    /// The message has no JSON form.
    #[error("cannot write the message: {0}")]
    Json(#[from] serde_json::Error),
}

/// What there is to say of the messages at `url`, for operators. Nothing is made or changed.
pub async fn examine(url: &str) -> Vec<Finding> {
    match url.strip_prefix("file:") {
        Some(folder) => vec![sqlite::examine(&Path::new(folder).join("messages.sqlite")).await],
        None => rabbit::examine(url).await,
    }
}

impl Queue {
    /// Opens `amqp://user:password@host:port/vhost` (`amqps` too) or `file:/folder`, which keeps
    /// `messages.sqlite`. An absent broker is no error: it is connected to in the background.
    pub async fn open(url: &str) -> Result<Self, Error> {
        match url.split_once(':') {
            Some(("amqp" | "amqps", _)) => Rabbit::open(url).map(Self::Rabbit),
            Some(("file", folder)) => Embedded::open(folder).await.map(Self::Embedded),
            _ => Err(Error::Address("it starts with amqp:, amqps: or file:".to_owned())),
        }
    }

    /// Sends a message and waits at most 5 s for the broker's confirm. When the broker has been away
    /// for longer than that, the answer is `Unavailable` at once.
    pub async fn publish(&self, message: &Message) -> Result<(), Error> {
        match self {
            Self::Rabbit(rabbit) => rabbit.publish(message).await,
            Self::Embedded(embedded) => embedded.publish(message).await,
        }
    }

    /// Lists dead letters, the oldest of each topic first, at most `most` in all. Of a topic with
    /// more than ten thousand it is not always the oldest ones that are listed.
    pub async fn dead_letters(&self, most: u32) -> Result<Vec<DeadLetter>, Error> {
        match self {
            Self::Rabbit(rabbit) => rabbit.dead_letters(most).await,
            Self::Embedded(embedded) => embedded.dead_letters(most).await,
        }
    }

    /// Puts a dead letter back into the queue that it came from, as it was, with its count at zero.
    /// At least once: where the reply is lost it may be in both.
    pub async fn replay(&self, id: Uuid) -> Result<(), Error> {
        self.settle_letter(id, Fate::Replayed).await
    }

    /// Deletes a dead letter.
    pub async fn discard(&self, id: Uuid) -> Result<(), Error> {
        self.settle_letter(id, Fate::Dropped).await
    }

    async fn settle_letter(&self, id: Uuid, fate: Fate) -> Result<(), Error> {
        match self {
            Self::Rabbit(rabbit) => rabbit.settle_letter(id, fate).await,
            Self::Embedded(embedded) => embedded.settle_letter(id, fate).await,
        }
    }

    /// Begins to receive. Each message goes to one of its topic's consumers.
    pub async fn consume(&self, topic: Topic) -> Result<Consumer, Error> {
        Ok(match self {
            Self::Rabbit(rabbit) => rabbit.consume(topic),
            Self::Embedded(embedded) => embedded.consume(topic),
        })
    }
}
