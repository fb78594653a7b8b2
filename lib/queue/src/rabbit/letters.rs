//! The dead letters at the broker. To see them one must take them, so they are taken unacked, one by
//! one, and given back all at once, which keeps their order. A connection of its own does it: when it
//! breaks or we die, the broker puts back whatever was taken.

use super::{
    Rabbit,
    link::{self, Backoff},
    properties::{self, DEAD_AT, DELIVERIES, REASON},
    topology::{self, Queue, Role, Warned},
};
use crate::{
    DeadLetter, Error, Topic,
    letter::{self, Fate, IN_SIGHT},
};
use jiff::Timestamp;
use lapin::{
    BasicProperties, Channel, Connection, ErrorKind,
    message::{BasicGetMessage, Delivery},
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tokio::time;
use uuid::Uuid;

/// Exists while somebody has dead letters in hand: another would not see those.
const TURN: &str = "dead-letters.turn";
/// Longest wait for one's turn and for the work, which is one question for each letter.
const LIMIT: Duration = Duration::from_secs(50);

/// The dead letters of one topic, being taken.
struct Pile {
    channel: Channel,
    topic: Topic,
    left: u32,
}

impl Rabbit {
    pub(crate) async fn dead_letters(&self, most: u32) -> Result<Vec<DeadLetter>, Error> {
        self.in_turn(async |connection| {
            let mut letters = Vec::new();
            for topic in Topic::ALL {
                // All of them, however few are wanted: what is given back may come to stand behind
                // what was not taken, as RabbitMQ 3 has it.
                let warned = &self.broker.warned;
                let mut pile = Pile::open(connection, topic, warned, IN_SIGHT).await?;
                let first = letters.len();
                while let Some(taken) = pile.next().await? {
                    letters.push(letter(topic, &taken));
                }
                pile.give_back().await?;
                letters[first..].sort_by_key(|letter| letter.at);
            }
            letters.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            Ok(letters)
        })
        .await
    }

    /// Settles all letters of this id, which say the same.
    pub(crate) async fn settle_letter(&self, id: Uuid, fate: Fate) -> Result<(), Error> {
        self.in_turn(async |connection| {
            let mut settled = false;
            for topic in Topic::ALL {
                let warned = &self.broker.warned;
                let mut pile = Pile::open(connection, topic, warned, u32::MAX).await?;
                while let Some(taken) = pile.next().await? {
                    let message_id = taken.properties.message_id().as_ref();
                    let message_id = message_id.map(|id| id.as_str());
                    if letter::id(topic, message_id, &taken.data) == id {
                        self.settle(topic, &taken, fate, settled).await?;
                        settled = true;
                    }
                }
                pile.give_back().await?;
            }
            if settled { Ok(()) } else { Err(Error::NoSuchLetter) }
        })
        .await
    }

    /// Published with a confirm and acked after that: it may be in both places, but never in none.
    async fn settle(
        &self,
        topic: Topic,
        letter: &Delivery,
        fate: Fate,
        is_copy: bool,
    ) -> Result<(), Error> {
        if fate == Fate::Replayed && !is_copy {
            let home = Queue { topic, role: Role::Main };
            let properties = properties::moved(&letter.properties, []);
            self.send(home, &letter.data, properties).await?;
        }
        let acked = letter.acker.ack(BasicAckOptions { multiple: false }).await;
        if acked.map_err(unavailable)? { Ok(()) } else { Err(Error::Lost) }
    }

    /// Works on a connection of its own while nobody else has any letter in hand.
    async fn in_turn<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let working = async {
            let name = "audio-converter dead letters";
            let connection = link::connect(&self.broker.uri, name).await.map_err(unavailable)?;
            turn(&connection).await.map_err(unavailable)?;
            let done = work(&connection).await;
            // The answer comes after all that was sent before, so that what was acked is gone.
            let closed = connection.close(200, "done".into()).await.map_err(unavailable);
            // What went wrong first is told.
            let done = done?;
            closed.map(|()| done)
        };
        let late = |_| Err(Error::Unavailable("the dead letters took too long".to_owned()));
        time::timeout(LIMIT, working).await.unwrap_or_else(late)
    }
}

/// Waits until this connection alone has the queue of this name, which goes with the connection.
async fn turn(connection: &Connection) -> lapin::Result<()> {
    let mut backoff = Backoff::new();
    loop {
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        match channel.queue_declare(TURN.into(), options, FieldTable::default()).await {
            Ok(_) => return channel.close(200, "done".into()).await,
            Err(error) if has_code(&error, 405) => backoff.wait().await,
            Err(error) => return Err(error),
        }
    }
}

impl Pile {
    /// Makes the queue where it is missing: to ask a missing one closes the channel, which lapin calls an
    /// error in the log.
    async fn open(
        connection: &Connection,
        topic: Topic,
        warned: &Warned,
        most: u32,
    ) -> Result<Self, Error> {
        let left = match topology::declare(connection, Self::queue(topic), warned).await {
            Ok(()) => most,
            // It may be made by others only, and is not.
            Err(error) if has_code(&error, 404) => 0,
            Err(error) => return Err(unavailable(error)),
        };
        let channel = connection.create_channel().await.map_err(unavailable)?;
        Ok(Self { channel, topic, left })
    }

    const fn queue(topic: Topic) -> Queue {
        Queue { topic, role: Role::Dead }
    }

    async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let name = Self::queue(self.topic).name();
        let taken = self.channel.basic_get(name.into(), BasicGetOptions { no_ack: false }).await;
        Ok(taken.map_err(unavailable)?.map(|BasicGetMessage { delivery, .. }| delivery))
    }

    /// All that was taken and not acked goes back to the head, in its order.
    async fn give_back(self) -> Result<(), Error> {
        if !self.channel.status().connected() {
            return Ok(());
        }
        // 0 stands for all.
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await.map_err(unavailable)?;
        self.channel.close(200, "done".into()).await.map_err(unavailable)
    }
}

/// What we wrote when we put it aside, or else what the broker wrote.
fn letter(topic: Topic, taken: &Delivery) -> DeadLetter {
    let from = &taken.properties;
    let broker = by_broker(from);
    let by_broker = |name: &str| broker?.inner().get(name);
    let header = |name| properties::header(from, name);
    let message_id = from.message_id().as_ref().map(|id| id.as_str());
    let plain = DeadLetter::new(topic, message_id, &taken.data);
    let reason = header(REASON).and_then(properties::string).or_else(|| {
        let reason = by_broker("reason").and_then(properties::string)?;
        Some(format!("put aside by the broker: {reason}"))
    });
    let at = header(DEAD_AT).or_else(|| by_broker("time")).and_then(properties::number);
    let deliveries = header(DELIVERIES).or_else(|| by_broker("count")).and_then(properties::count);
    DeadLetter {
        reason: reason.unwrap_or_else(|| "unknown".to_owned()),
        at: at.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        deliveries: deliveries.unwrap_or(0),
        trace: plain.trace.or_else(|| properties::trace(from)),
        ..plain
    }
}

/// The newest entry of the broker's own history of the message.
fn by_broker(properties: &BasicProperties) -> Option<&FieldTable> {
    match properties::header(properties, "x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death),
            _ => None,
        },
        _ => None,
    }
}

fn has_code(error: &lapin::Error, code: u16) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives it away")]
fn unavailable(error: lapin::Error) -> Error {
    Error::Unavailable(error.to_string())
}
