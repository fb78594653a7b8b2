//! Deletes what no record will ever name: the bytes of abandoned uploads and of attempts that lost.

use domain::{Pending, PendingKind, Verdict, verdict};
use jiff::Timestamp;
use storage::{Error, Storage};

/// Markers looked at in one sweep. There is one for each upload in flight and each attempt at work,
/// and one a day for each that was lost.
const AT_ONCE: u32 = 1000;

/// Judges every pending marker.
pub(crate) async fn sweep(storage: &Storage) -> Result<(), Error> {
    for pending in storage.pending(AT_ONCE).await? {
        let verdict = judge(storage, &pending).await?;
        match verdict {
            Verdict::Keep => {}
            Verdict::Forget => storage.forget(pending.kind).await?,
            Verdict::Delete => storage.delete(pending.kind).await?,
            Verdict::DeleteAndForget => {
                storage.delete(pending.kind).await?;
                if let PendingKind::Video { video } = pending.kind {
                    storage.remove_video(video).await?;
                }
                storage.forget(pending.kind).await?;
                tracing::info!(file = ?pending.kind, "swept an abandoned file");
            }
        }
    }
    Ok(())
}

async fn judge(storage: &Storage, pending: &Pending) -> Result<Verdict, Error> {
    let conversion = match pending.kind {
        PendingKind::Video { video } => storage.conversion_of_video(video).await?,
        PendingKind::Mp3 { conversion, .. } => match storage.conversion(conversion).await {
            Ok(record) => Some(record),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(verdict(pending, conversion.as_ref(), Timestamp::now()))
}
