//! Settling one delivery: acked, put back for later, or moved to the dead letters. Moving means
//! published with a confirm and acked after that, so that it may be there twice but never nowhere.

use super::{
    PERSISTENT, Rabbit,
    receiver::DELIVERIES,
    topology::{Queue, Role},
};
use crate::{Error, PUBLISH_TIMEOUT, Topic};
use lapin::{
    Acker, BasicProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tokio::time;

/// Longest wait in a retry queue; RabbitMQ takes at most 49 days.
const LONGEST_RETRY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest reason that is written into a dead letter, in characters.
const LONGEST_REASON: usize = 1000;

#[derive(Debug)]
pub(crate) struct Handle {
    rabbit: Rabbit,
    topic: Topic,
    delivery: Delivery,
}

impl Handle {
    pub(super) fn new(rabbit: Rabbit, topic: Topic, delivery: Delivery) -> Self {
        Self { rabbit, topic, delivery }
    }

    pub(crate) fn is_lost(&self) -> bool {
        !self.delivery.acker.usable()
    }

    pub(crate) async fn ack(self) -> Result<(), Error> {
        // Returns once the ack is written; the broker does not answer it. A lost ack only means that
        // the message comes again. Not `multiple`: the ones before it are settled by their owners.
        let ack = self.delivery.acker.ack(BasicAckOptions { multiple: false });
        match time::timeout(PUBLISH_TIMEOUT, ack).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(Error::Lost),
        }
    }

    /// Where it cannot be moved it is held here, unsettled, and given back after the same time.
    pub(crate) async fn retry_later(self, after: Duration, deliveries: u32) {
        let wait = after.clamp(Duration::from_millis(1), LONGEST_RETRY);
        let count = AMQPValue::LongLongInt(deliveries.into());
        let properties =
            self.properties(DELIVERIES, count).with_expiration(wait.as_millis().to_string().into());
        match self.send(Role::Retry, properties).await {
            // Not acked after all: it comes again at once, and from the retry queue later.
            Ok(()) => drop(self.ack().await),
            Err(error) => {
                tracing::warn!(%error, topic = %self.topic, "a message waits here to be tried again");
                tokio::spawn(give_back(self.delivery.acker, after));
            }
        }
    }

    pub(crate) async fn reject(self, reason: &str) -> Result<(), Error> {
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let properties = self.properties("x-reason", AMQPValue::LongString(reason.into()));
        self.send(Role::Dead, properties).await?;
        self.ack().await
    }

    async fn send(&self, role: Role, properties: BasicProperties) -> Result<(), Error> {
        let queue = Queue { topic: self.topic, role };
        self.rabbit.send(queue, &self.delivery.data, properties).await
    }

    /// The message's own properties and one header. Of its other headers none is taken along: `CC`
    /// would send copies to queues of its producer's choice. Nor is `user_id`, which is not ours.
    fn properties(&self, header: &str, value: AMQPValue) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(header.into(), value);
        let mut properties =
            BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
        let from = &self.delivery.properties;
        if let Some(content_type) = from.content_type() {
            properties = properties.with_content_type(content_type.clone());
        }
        if let Some(id) = from.message_id() {
            properties = properties.with_message_id(id.clone());
        }
        if let Some(kind) = from.kind() {
            properties = properties.with_type(kind.clone());
        }
        if let Some(timestamp) = from.timestamp() {
            properties = properties.with_timestamp(*timestamp);
        }
        if let Some(app) = from.app_id() {
            properties = properties.with_app_id(app.clone());
        }
        properties
    }
}

async fn give_back(acker: Acker, after: Duration) {
    time::sleep(after).await;
    // Requeue: back into the queue, not to the dead letters. Where the connection has gone, the
    // broker has already done so.
    drop(acker.nack(BasicNackOptions { multiple: false, requeue: true }).await);
}
