//! Messages over RabbitMQ 3.10 or newer. One connection publishes for the whole process, and each
//! consumer has one of its own: a broker short of memory or disk stops reading from connections
//! that publish, and acks must still get through.

mod examine;
mod letters;
mod link;
mod properties;
mod publisher;
mod receiver;
mod settle;
mod topology;

pub(crate) use examine::examine;

use crate::{Consumer, Error, Message, PUBLISH_TIMEOUT, Topic};
use lapin::{BasicProperties, uri::AMQPUri};
use publisher::Publisher;
pub(crate) use settle::Handle;
use std::{fmt, sync::Arc};
use tokio::{sync::mpsc, time::Instant};
use topology::{Queue, Role, Warned};

/// Says who wrote a message, to operators who look into a queue.
const APP_ID: &str = "audio-converter";
/// Delivery mode 2: a message survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A RabbitMQ broker. Clones share the connection that publishes.
#[derive(Clone)]
pub struct Rabbit {
    broker: Arc<Broker>,
    publisher: Arc<Publisher>,
}

/// Where the broker is, and which of its queues were already complained about.
struct Broker {
    uri: AMQPUri,
    warned: Warned,
}

impl Rabbit {
    /// Begins to connect in the background; only an address that cannot be read is an error.
    pub(crate) fn open(url: &str) -> Result<Self, Error> {
        // What the parser says is left out, for it may quote the address with its password.
        let uri = url.parse::<AMQPUri>().map_err(|_| {
            Error::Address("it is not amqp://user:password@host:port/vhost".to_owned())
        })?;
        let broker = Arc::new(Broker { uri: link::tuned(uri), warned: Warned::default() });
        let publisher = Arc::new(Publisher::start(broker.clone()));
        Ok(Self { broker, publisher })
    }

    pub(crate) async fn publish(&self, message: &Message) -> Result<(), Error> {
        let queue = Queue { topic: message.topic(), role: Role::Main };
        let body = message.to_json()?;
        self.send(queue, body.as_bytes(), properties::of_new(message)).await
    }

    pub(crate) fn consume(&self, topic: Topic) -> Consumer {
        // One item ahead is enough: the rest of the prefetched ones wait inside lapin.
        let (items, receiver) = mpsc::channel(1);
        tokio::spawn(receiver::run(self.clone(), topic, items));
        Consumer::new(receiver)
    }

    async fn send(
        &self,
        queue: Queue,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Error> {
        self.publisher.send(queue, body, properties, Instant::now() + PUBLISH_TIMEOUT).await
    }
}

/// Leaves the address out, which may have a password in it.
impl fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rabbit")
            .field("host", &self.broker.uri.authority.host)
            .finish_non_exhaustive()
    }
}
