//! The receiving side, the same over both back ends: a task of its own fetches, so that `next` can
//! be dropped at any time (in `tokio::select!`, say) and loses nothing.

use crate::{BadMessage, Error, Message, embedded, rabbit};
use std::{future, time::Duration};
use tokio::sync::mpsc;

/// Receives one topic's messages. When it is dropped, what it holds unsettled comes again.
#[derive(Debug)]
pub struct Consumer {
    items: mpsc::Receiver<Item>,
}

/// What a consumer hears.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Delivery(Delivery),
    /// The consumer has been connected, for the first time or again. Messages may have been lost
    /// while it was not (a wiped broker), so this is the time to look at the records.
    Reconnected,
}

/// One message, to be settled by one of its methods. Dropped unsettled, it comes again once its
/// consumer is gone, and until then counts against the consumer's ten.
#[derive(Debug)]
pub struct Delivery {
    message: Result<Message, BadMessage>,
    deliveries: u32,
    handle: Handle,
}

#[derive(Debug)]
pub(crate) enum Handle {
    Rabbit(Box<rabbit::Handle>),
    Embedded(embedded::Handle),
}

impl Consumer {
    /// The task that sends the items ends when the receiver is dropped.
    pub(crate) fn new(items: mpsc::Receiver<Item>) -> Self {
        Self { items }
    }

    /// Waits for the next item, for ever if need be; it reconnects by itself. Cancel-safe.
    pub async fn next(&mut self) -> Item {
        while let Some(item) = self.items.recv().await {
            match item {
                // Fetched from a connection that has gone since: the broker sends it again.
                Item::Delivery(delivery) if delivery.handle.is_lost() => {}
                item => return item,
            }
        }
        // The task ends only with its runtime.
        future::pending().await
    }
}

impl Delivery {
    pub(crate) fn new(
        message: Result<Message, BadMessage>,
        deliveries: u32,
        handle: Handle,
    ) -> Self {
        Self { message, deliveries, handle }
    }

    /// What it says; an error where a foreign producer sent something else, to be rejected.
    pub fn message(&self) -> Result<&Message, &BadMessage> {
        self.message.as_ref()
    }

    /// How many times it has been delivered; 1 is the first time. A hint: a broker may count less
    /// or, where it prefetched, more.
    pub fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// Settles it: the record says everything that the message says.
    pub async fn ack(self) -> Result<(), Error> {
        match self.handle {
            Handle::Rabbit(handle) => handle.ack().await,
            Handle::Embedded(handle) => handle.ack().await,
        }
    }

    /// Has it delivered again, no sooner than `after`, behind what waits by then.
    pub async fn retry_later(self, after: Duration) {
        match self.handle {
            Handle::Rabbit(handle) => handle.retry_later(after, self.deliveries).await,
            Handle::Embedded(handle) => handle.retry_later(after).await,
        }
    }

    /// Moves it to the dead letters, for a human to look at. At least once: it may get there twice.
    pub async fn reject(self, reason: &str) -> Result<(), Error> {
        match self.handle {
            Handle::Rabbit(handle) => handle.reject(reason, self.deliveries).await,
            Handle::Embedded(handle) => handle.reject(reason).await,
        }
    }
}

impl Handle {
    fn is_lost(&self) -> bool {
        match self {
            Self::Rabbit(handle) => handle.is_lost(),
            Self::Embedded(_) => false,
        }
    }
}
