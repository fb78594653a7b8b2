//! The queues and their arguments. Each topic has three, all on the default exchange: its own, its
//! dead letters (`video.dead`), and where messages wait to be tried again (`video.retry`).

use crate::{LONGEST_QUEUE, MP3_AGE, Topic};
use lapin::{
    Connection, ErrorKind,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// What a topic's queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Main,
    Dead,
    Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) topic: Topic,
    pub(super) role: Role,
}

/// The queues that exist with other arguments and have been complained about.
#[derive(Default)]
pub(super) struct Warned(Mutex<HashSet<Queue>>);

/// Retries are our own business and end in `reject`. RabbitMQ 4 drops or dead-letters after 20
/// deliveries by itself, 3 never; a limit that is out of reach holds on both, and unlike -1 both
/// accept it.
const DELIVERY_LIMIT: i64 = 1_000_000;

impl Queue {
    /// What must be there before work begins. The others are made when the first message needs them.
    pub(super) const AT_START: [Self; 4] = [
        Self { topic: Topic::Video, role: Role::Main },
        Self { topic: Topic::Video, role: Role::Dead },
        Self { topic: Topic::Mp3, role: Role::Main },
        Self { topic: Topic::Control, role: Role::Main },
    ];

    /// Every queue that may be there.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of = |topic| [Role::Main, Role::Dead, Role::Retry].map(|role| Self { topic, role });
        Topic::ALL.into_iter().flat_map(of)
    }

    pub(super) fn name(self) -> String {
        match self.role {
            Role::Main => self.topic.name().to_owned(),
            Role::Dead => format!("{}.dead", self.topic),
            Role::Retry => format!("{}.retry", self.topic),
        }
    }

    fn arguments(self) -> FieldTable {
        let mut arguments = FieldTable::default();
        let mut set = |key: &str, value: AMQPValue| {
            arguments.insert(key.into(), value);
        };
        // Replicated, and synced to the disks of a majority before the confirm.
        set("x-queue-type", text("quorum"));
        set("x-delivery-limit", DELIVERY_LIMIT.into());
        match (self.role, self.topic) {
            (Role::Main, Topic::Video) => dead_letters_to(&mut set, "video.dead"),
            // Nobody may be listening: bounded by number and by age, the oldest go first.
            (Role::Main, Topic::Mp3) => {
                set("x-max-length", i64::from(LONGEST_QUEUE).into());
                set("x-message-ttl", millis(MP3_AGE).into());
                set("x-overflow", text("drop-head"));
            }
            (Role::Main, Topic::Control) => {}
            // For a human to read, who may not come; so bounded too.
            (Role::Dead, _) => {
                set("x-max-length", i64::from(LONGEST_QUEUE).into());
                set("x-overflow", text("drop-head"));
            }
            // Each message has an expiration of its own, after which it goes home. It expires only at
            // the head: behind a longer wait it comes later, never earlier.
            (Role::Retry, topic) => dead_letters_to(&mut set, topic.name()),
        }
        arguments
    }
}

/// `at-least-once`: kept until the other queue has confirmed it; the default may lose it on the way.
/// RabbitMQ ties that to `reject-publish`, which has no effect without a length limit.
fn dead_letters_to(set: &mut impl FnMut(&str, AMQPValue), queue: &str) {
    set("x-dead-letter-exchange", text(""));
    set("x-dead-letter-routing-key", text(queue));
    set("x-dead-letter-strategy", text("at-least-once"));
    set("x-overflow", text("reject-publish"));
}

/// Makes the queue where it is missing. One that exists with other arguments, or that we may not
/// declare, is used as it is.
pub(super) async fn declare(
    connection: &Connection,
    queue: Queue,
    warned: &Warned,
) -> lapin::Result<()> {
    match ask(connection, queue, false).await {
        Err(refusal) if is_refusal(&refusal) => {
            if warned.first(queue) {
                tracing::warn!(queue = queue.name(), %refusal, "the queue is used as it is");
            }
            ask(connection, queue, true).await.map(drop)
        }
        made => made.map(drop),
    }
}

/// Declares the queue as ours, or, `passive`, asks only whether it exists.
pub(super) async fn ask(
    connection: &Connection,
    queue: Queue,
    passive: bool,
) -> lapin::Result<lapin::Queue> {
    // A refusal closes the channel, so that each try has one of its own.
    let channel = connection.create_channel().await?;
    // Durable: the queue survives a restart of the broker. Quorum queues know nothing else.
    let options = QueueDeclareOptions { passive, ..QueueDeclareOptions::durable() };
    let arguments = if passive { FieldTable::default() } else { queue.arguments() };
    let there = channel.queue_declare(queue.name().into(), options, arguments).await?;
    channel.close(200, "done".into()).await?;
    Ok(there)
}

impl Warned {
    fn first(&self, queue: Queue) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(queue)
    }
}

/// 406: it exists with other arguments. 403: we lack the permission to declare.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.get_id(), 403 | 406))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
