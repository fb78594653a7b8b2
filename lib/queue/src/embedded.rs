//! Messages in an SQLite file, for one process: consumers are woken in-process and never poll.
//! What a consumer holds is marked in memory alone, so that a new process delivers it again.

mod fetch;
mod letters;
mod table;

use crate::{
    Consumer, DeadLetter, Error, LONGEST_QUEUE, MP3_AGE, Message, PUBLISH_TIMEOUT, Topic,
    letter::{self, Fate},
};
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
use uuid::Uuid;

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
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(crate) async fn publish(&self, message: &Message) -> Result<(), Error> {
        let (topic, id) = (message.topic(), message.id().to_string());
        let body = message.to_json()?;
        let shared = self.shared.clone();
        let publishing = detached(async move { shared.publish(topic, &id, body.as_bytes()).await });
        let late = |_| Err(Error::Unavailable("messages.sqlite is busy".to_owned()));
        time::timeout(PUBLISH_TIMEOUT, publishing).await.unwrap_or_else(late)
    }

    pub(crate) async fn dead_letters(&self, most: u32) -> Result<Vec<DeadLetter>, Error> {
        let shared = self.shared.clone();
        let listing = async move {
            let mut letters = Vec::new();
            for topic in Topic::ALL {
                let dead = shared.table.dead(topic).await?;
                letters.extend(dead.into_iter().map(|dead| dead.letter(topic)));
            }
            letters.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            Ok(letters)
        };
        detached(listing).await
    }

    /// Settles all letters of this id, which say the same.
    pub(crate) async fn settle_letter(&self, id: Uuid, fate: Fate) -> Result<(), Error> {
        let shared = self.shared.clone();
        detached(async move { shared.settle_letter(id, fate).await }).await
    }

    pub(crate) fn consume(&self, topic: Topic) -> Consumer {
        // One item ahead: the next one is read while the caller works on this one.
        let (items, receiver) = mpsc::channel(1);
        let number = self.shared.consumers.fetch_add(1, Ordering::Relaxed);
        let fetch = fetch::Fetch::new(self.shared.clone(), topic, number);
        tokio::spawn(fetch.run(items));
        Consumer::new(receiver)
    }
}

impl Shared {
    async fn publish(&self, topic: Topic, id: &str, body: &[u8]) -> Result<(), Error> {
        self.table.insert(topic, id, body).await?;
        self.changed.send_replace(());
        if topic == Topic::Mp3 {
            // The message is in; that an old one is not yet out must not fail it.
            if let Err(error) = self.table.trim_mp3(LONGEST_QUEUE, MP3_AGE).await {
                tracing::warn!(%error, "old mp3 messages stay for now");
            }
        }
        Ok(())
    }

    async fn settle_letter(&self, id: Uuid, fate: Fate) -> Result<(), Error> {
        for topic in Topic::ALL {
            let dead = self.table.dead(topic).await?.into_iter();
            let same =
                dead.filter(|dead| letter::id(topic, Some(&dead.message_id), &dead.body) == id);
            let rows: Vec<i64> = same.map(|dead| dead.id).collect();
            let Some((first, copies)) = rows.split_first() else { continue };
            match fate {
                Fate::Replayed => self.table.revive(*first, copies).await?,
                Fate::Dropped => self.table.remove_dead(&rows).await?,
            }
            self.changed.send_replace(());
            return Ok(());
        }
        Err(Error::NoSuchLetter)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(crate) async fn ack(self) -> Result<(), Error> {
        let settling = async move {
            self.shared.table.delete(self.row).await?;
            self.release();
            Ok(())
        };
        detached(settling).await
    }

    /// Where even this cannot be written the row stays held, and comes again with the next process.
    pub(crate) async fn retry_later(self, after: Duration) {
        let topic = self.topic;
        let settling = async move {
            self.shared.table.postpone(self.row, after).await?;
            self.release();
            Ok(())
        };
        if let Err(error) = detached(settling).await {
            tracing::warn!(%error, %topic, "a message comes again only after a restart");
        }
    }

    pub(crate) async fn reject(self, reason: &str) -> Result<(), Error> {
        let reason = reason.to_owned();
        let settling = async move {
            let table = &self.shared.table;
            table.bury(self.row, self.topic, &reason, LONGEST_QUEUE).await?;
            self.release();
            Ok(())
        };
        detached(settling).await
    }

    fn release(&self) {
        self.shared.held().remove(&self.row);
        self.shared.changed.send_replace(());
    }
}

/// Goes on to its end when its caller gives up. A query of diesel-async that is dropped midway
/// blocks its thread until SQLite is done, and panics where the runtime has only one.
async fn detached<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let ended = |_| Err(Error::Unavailable("the process is ending".to_owned()));
    tokio::spawn(doing).await.unwrap_or_else(ended)
}
