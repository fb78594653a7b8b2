//! Waiting for a conversion to change. Whoever waits is told by one task, which reads all the records
//! that somebody watches in one query; it runs only while somebody does.

use crate::{context::Context, error::Error};
use domain::{Conversion, ConversionId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch::{Receiver, Sender},
    time::{Instant, sleep, timeout_at},
};

/// Between two reads where nothing tells of changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same while somebody has just begun to wait: short conversions are common.
const LOOK_SOON: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(5);
/// Between two reads however much is told.
const BREATH: Duration = Duration::from_millis(5);

/// The conversions that somebody watches.
#[derive(Default)]
pub(crate) struct Watched(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    records: HashMap<ConversionId, Sender<Arc<Conversion>>>,
    /// Whether the task runs.
    served: bool,
    newest: Option<Instant>,
}

impl Watched {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until `enough` is true of the record, or until `until`; returns the record as it then is.
///
/// # Errors
/// `NotFound` where it has been deleted meanwhile.
pub(crate) async fn wait(
    context: &Arc<Context>,
    first: Conversion,
    until: Instant,
    enough: impl Fn(&Conversion) -> bool,
) -> Result<Conversion, Error> {
    if enough(&first) {
        return Ok(first);
    }
    let id = first.id;
    let mut receiver = subscribe(context, first);
    let changed = async {
        let seen = receiver.wait_for(|record| enough(record)).await;
        seen.map(|record| Conversion::clone(&record)).map_err(|_| Error::NotFound)
    };
    let waited = timeout_at(until, context.stopping.run_until_cancelled(changed)).await;
    match waited {
        Ok(Some(seen)) => seen,
        // The time is over, or the server's.
        Ok(None) | Err(_) => Ok(context.storage.conversion(id).await?),
    }
}

fn subscribe(context: &Arc<Context>, first: Conversion) -> Receiver<Arc<Conversion>> {
    let mut entries = context.watched.entries();
    entries.newest = Some(Instant::now());
    let sender = entries.records.entry(first.id).or_insert_with(|| Sender::new(first.into()));
    let receiver = sender.subscribe();
    if !entries.served {
        entries.served = true;
        context.tasks.spawn(serve(context.clone()));
    }
    receiver
}

/// Tells those who wait, until nobody does.
async fn serve(context: Arc<Context>) {
    let mut changes = context.storage.changes();
    while let Some(ids) = watched(&context) {
        match context.storage.conversions_of_ids(&ids).await {
            Ok(records) => tell(&context, &ids, records),
            Err(error) => tracing::warn!(%error, "watched conversions cannot be read"),
        }
        let young = context.watched.entries().newest.is_some_and(|at| at.elapsed() < SOON);
        let pause = if young { LOOK_SOON } else { LOOK_EVERY };
        let told = async {
            match &mut changes {
                Some(changes) => drop(changes.changed().await),
                None => std::future::pending().await,
            }
        };
        sleep(BREATH).await;
        tokio::select! {
            () = told => {}
            () = sleep(pause) => {}
            () = context.stopping.cancelled() => {}
        }
    }
}

/// What is watched; none, and no task any more, once nobody watches.
fn watched(context: &Context) -> Option<Vec<ConversionId>> {
    let mut entries = context.watched.entries();
    entries.records.retain(|_, sender| sender.receiver_count() > 0);
    entries.served = !entries.records.is_empty() && !context.stopping.is_cancelled();
    entries.served.then(|| entries.records.keys().copied().collect())
}

fn tell(context: &Context, asked: &[ConversionId], records: Vec<Conversion>) {
    let mut entries = context.watched.entries();
    let mut there: HashMap<_, _> = records.into_iter().map(|it| (it.id, it)).collect();
    for id in asked {
        match (there.remove(id), entries.records.get(id)) {
            (Some(record), Some(sender)) => {
                sender.send_if_modified(|known| {
                    let news = **known != record;
                    *known = record.into();
                    news
                });
            }
            // Deleted: the sender's end tells.
            (None, _) => drop(entries.records.remove(id)),
            (Some(_), None) => {}
        }
    }
}
