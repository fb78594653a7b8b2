//! Messages in an SQLite file, for one process: consumers are woken in-process and never poll.
//! What a consumer holds is marked in memory alone, so that a new process delivers it again.

mod fetch;
mod table;

use crate::{Consumer, Error, LONGEST_QUEUE, MP3_AGE, Message, PUBLISH_TIMEOUT, Topic};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use table::Table;
use tokio::{
    sync::{mpsc, watch},
    time,
};

/// Messages in an SQLite file. Clones share it, and wake one another's consumers.
#[derive(Clone, Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    /// Changes whenever a consumer may have something to do. A watch, for it misses no change.
    changed: watch::Sender<()>,
    /// Which consumer holds which row.
    held: Mutex<HashMap<i64, u64>>,
    consumers: AtomicU64,
}

/// Settles one delivery.
#[derive(Debug)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    row: i64,
    topic: Topic,
}

impl Embedded {
    /// Opens `messages.sqlite` in the folder of that name (what follows `file:` in the address).
    pub(crate) async fn open(folder: &str) -> Result<Self, Error> {
        if folder.is_empty() {
            return Err(Error::Address("file: is followed by a folder".to_owned()));
        }
        let table = Table::open(Path::new(folder)).await?;
        let shared = Shared {
            table,
            changed: watch::Sender::new(()),
            held: Mutex::default(),
            consumers: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(crate) async fn publish(&self, message: &Message) -> Result<(), Error> {
        let topic = message.topic();
        let table = &self.shared.table;
        let (id, body) = (message.id().to_string(), message.to_json()?);
        let inserted = time::timeout(PUBLISH_TIMEOUT, table.insert(topic, &id, body.as_bytes()));
        let late = |_| Err(Error::Unavailable("messages.sqlite is busy".to_owned()));
        inserted.await.unwrap_or_else(late)?;
        self.shared.changed.send_replace(());
        if topic == Topic::Mp3 {
            // The message is in; that an old one is not yet out must not fail it.
            if let Err(error) = table.trim_mp3(LONGEST_QUEUE, MP3_AGE).await {
                tracing::warn!(%error, "old mp3 messages stay for now");
            }
        }
        Ok(())
    }

    pub(crate) fn consume(&self, topic: Topic) -> Consumer {
        // One item ahead: the next one is read while the caller works on this one.
        let (items, receiver) = mpsc::channel(1);
        let number = self.shared.consumers.fetch_add(1, Ordering::Relaxed);
        let fetch = fetch::Fetch::new(self.shared.clone(), topic, number);
        Consumer::new(receiver, tokio::spawn(fetch.run(items)))
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(crate) async fn ack(self) -> Result<(), Error> {
        self.shared.table.delete(self.row).await?;
        self.release();
        Ok(())
    }

    /// Where even this cannot be written the row stays held, and comes again with the next process.
    pub(crate) async fn retry_later(self, after: Duration) {
        match self.shared.table.postpone(self.row, after).await {
            Ok(()) => self.release(),
            Err(error) => {
                tracing::warn!(%error, topic = %self.topic, "a message comes again only after a restart");
            }
        }
    }

    pub(crate) async fn reject(self, reason: &str) -> Result<(), Error> {
        self.shared
            .table
            .bury(self.row, self.topic, reason, LONGEST_QUEUE)
            .await?;
        self.release();
        Ok(())
    }

    fn release(&self) {
        self.shared.held().remove(&self.row);
        self.shared.changed.send_replace(());
    }
}
