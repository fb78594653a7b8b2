//! One consumer's task: takes the rows that are due, one by one, and sleeps until there is one.

use super::{Handle, Shared, table};
use crate::{Delivery, Error, Item, Message, PREFETCH, Topic, consumer};
use std::{collections::hash_map::Entry, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time};

/// Wait after a fault of the file, before the next look.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// Longest sleep for a row that is due later; the computer's clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);

/// What one consumer holds is given back when this is dropped.
pub(super) struct Fetch {
    shared: Arc<Shared>,
    topic: Topic,
    number: u64,
}

/// What there is to do for now.
enum Next {
    Deliver(Delivery),
    Look,
    Wait(Duration),
}

impl Fetch {
    pub(super) fn new(shared: Arc<Shared>, topic: Topic, number: u64) -> Self {
        Self { shared, topic, number }
    }

    /// Ends when nobody receives any more, but never in the middle of a query.
    pub(super) async fn run(self, items: mpsc::Sender<Item>) {
        let mut changed = self.shared.changed.subscribe();
        if items.send(Item::Reconnected).await.is_err() {
            return;
        }
        loop {
            // Marked before the look: what changes during the look is seen by the wait.
            changed.mark_unchanged();
            let pause = match self.next().await {
                Ok(Next::Deliver(delivery)) => {
                    if items.send(Item::Delivery(delivery)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Ok(Next::Look) => continue,
                Ok(Next::Wait(pause)) => pause.min(LONGEST_SLEEP),
                Err(error) => {
                    tracing::warn!(%error, topic = %self.topic, "cannot read messages");
                    FAULT_PAUSE
                }
            };
            // Whatever happened, the table is looked at again.
            tokio::select! {
                _ = changed.changed() => {}
                () = time::sleep(pause) => {}
                () = items.closed() => return,
            }
        }
    }

    async fn next(&self) -> Result<Next, Error> {
        let held: Vec<i64> = {
            let held = self.shared.held();
            if held.values().filter(|number| **number == self.number).count() >= PREFETCH.into() {
                return Ok(Next::Wait(LONGEST_SLEEP));
            }
            held.keys().copied().collect()
        };
        let Some(row) = self.shared.table.next(self.topic, held).await? else {
            return Ok(Next::Wait(LONGEST_SLEEP));
        };
        let early = row.visible_at.saturating_sub(table::now());
        if early > 0 {
            return Ok(Next::Wait(Duration::from_millis(early.unsigned_abs())));
        }
        // Another consumer of this topic may have taken it since the look.
        match self.shared.held().entry(row.id) {
            Entry::Occupied(_) => return Ok(Next::Look),
            Entry::Vacant(free) => free.insert(self.number),
        };
        let count = self.shared.table.count(row.id).await;
        let Ok(Some(deliveries)) = count else {
            self.shared.held().remove(&row.id);
            return count.map(|_| Next::Look);
        };
        let message = Message::from_json(self.topic, &row.body);
        let handle = Handle { shared: self.shared.clone(), row: row.id, topic: self.topic };
        let handle = consumer::Handle::Embedded(handle);
        Ok(Next::Deliver(Delivery::new(message, deliveries, handle)))
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.shared.held().retain(|_, number| *number != self.number);
        self.shared.changed.send_replace(());
    }
}
