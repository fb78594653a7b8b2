//! Settling one delivery: acked, put back for later, or moved to the dead letters. Moving means
//! published with a confirm and acked after that, so that it may be there twice but never nowhere.

use super::{
    Rabbit,
    properties::{self, DEAD_AT, DELIVERIES, REASON},
    topology::{Queue, Role},
};
use crate::{Error, PUBLISH_TIMEOUT, Topic};
use jiff::Timestamp;
use lapin::{
    Acker, BasicProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions},
    types::AMQPValue,
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
        let count = [(DELIVERIES, AMQPValue::LongLongInt(deliveries.into()))];
        let properties = properties::moved(&self.delivery.properties, count)
            .with_expiration(wait.as_millis().to_string().into());
        match self.send(Role::Retry, properties).await {
            // Not acked after all: it comes again at once, and from the retry queue later.
            Ok(()) => drop(self.ack().await),
            Err(error) => {
                tracing::warn!(%error, topic = %self.topic, "a message waits here to be tried again");
                tokio::spawn(give_back(self.delivery.acker, after));
            }
        }
    }

    pub(crate) async fn reject(self, reason: &str, deliveries: u32) -> Result<(), Error> {
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let now = Timestamp::now().as_second().unsigned_abs();
        let ours = [
            (REASON, properties::text(&reason)),
            (DEAD_AT, AMQPValue::Timestamp(now)),
            (DELIVERIES, AMQPValue::LongLongInt(deliveries.into())),
        ];
        self.send(Role::Dead, properties::moved(&self.delivery.properties, ours)).await?;
        self.ack().await
    }

    async fn send(&self, role: Role, properties: BasicProperties) -> Result<(), Error> {
        let queue = Queue { topic: self.topic, role };
        self.rabbit.send(queue, &self.delivery.data, properties).await
    }
}

async fn give_back(acker: Acker, after: Duration) {
    time::sleep(after).await;
    // Requeue: back into the queue, not to the dead letters. Where the connection has gone, the
    // broker has already done so.
    drop(acker.nack(BasicNackOptions { multiple: false, requeue: true }).await);
}
