//! Deletes what no record will ever name (the bytes of abandoned uploads and of attempts that lost),
//! and what has had its time: expired videos and MP3s, and videos whose owner has deleted them.
//!
//! What must hold: a record that names a file goes after the file, so that a crash in between leaves
//! a record that says what is still to be done.

use domain::{Change, Pending, PendingKind, Verdict, Video, verdict};
use jiff::Timestamp;
use std::time::Duration;
use storage::{ChangeError, Error, Storage, Work};
use tokio::time::sleep;

/// Markers looked at in one sweep. There is one for each upload in flight and each attempt at work,
/// and one a day for each that was lost.
const AT_ONCE: u32 = 1000;

/// Between two sweeps.
const PAUSE: Duration = Duration::from_secs(30);

/// Sweeps again and again.
pub(crate) async fn sweep_for_ever(storage: Storage) {
    let mut healthy = true;
    loop {
        let swept = sweep(&storage).await;
        if let (Err(error), true) = (&swept, healthy) {
            tracing::warn!(%error, "sweeping met trouble; trying again");
        }
        healthy = swept.is_ok();
        sleep(PAUSE).await;
    }
}

/// Judges every pending marker, and deletes what has had its time.
async fn sweep(storage: &Storage) -> Result<(), Error> {
    let now = Timestamp::now();
    judge_markers(storage).await?;
    for video in storage.expired_videos(now, AT_ONCE).await? {
        end_video(storage, &video).await?;
    }
    end_mp3s(storage, now).await
}

/// Deletes a video; where only its time is over, its conversions and their MP3s stay.
async fn end_video(storage: &Storage, video: &Video) -> Result<(), Error> {
    if video.deleted {
        storage.purge(video.id).await?;
    } else if storage.is_wanted(video.id).await? {
        return Ok(());
    } else {
        storage.delete(PendingKind::Video { video: video.id }).await?;
        storage.remove_video(video.id).await?;
    }
    tracing::info!(video.id = %video.id, deleted = video.deleted, "a video's time was over");
    Ok(())
}

async fn end_mp3s(storage: &Storage, now: Timestamp) -> Result<(), Error> {
    for record in storage.work(Work::Expired(now), AT_ONCE).await? {
        let Some(mp3) = &record.mp3 else { continue };
        let (mp3, conversion, claim) = (mp3.id, record.id, record.claim);
        storage.delete(PendingKind::Mp3 { mp3, conversion, claim }).await?;
        match storage.change(conversion, &Change::Expire).await {
            Ok(_) | Err(ChangeError::Refused(_)) => {}
            Err(ChangeError::Storage(error)) => return Err(error),
        }
        tracing::info!(conversion.id = %conversion, mp3.id = %mp3, "an MP3's time was over");
    }
    Ok(())
}

async fn judge_markers(storage: &Storage) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use domain::{Conversion, ConversionId, Mp3};
    use jiff::SignedDuration;

    /// A stored video, expired long ago, and its conversion, whose MP3 expires at once.
    async fn converted(storage: &Storage, finished: bool) -> (Video, Conversion) {
        let long_ago = Timestamp::UNIX_EPOCH;
        let video = samples::stored_video(storage, long_ago).await;
        let video = Video { expires_at: Some(long_ago), ..video };
        let record = Conversion {
            mp3_kept_for: Some(SignedDuration::ZERO),
            ..samples::conversion(ConversionId::generate(), &video, Timestamp::now())
        };
        storage.accept(&video, &record).await.unwrap();
        if !finished {
            return (video, record);
        }
        storage.change(record.id, &Change::Dispatch { attempt: 1 }).await.unwrap();
        storage.change(record.id, &Change::Claim { attempt: 1 }).await.unwrap();
        let mp3 = record.id.mp3(1);
        let file = PendingKind::Mp3 { mp3, conversion: record.id, claim: 1 };
        let blob = storage.create(file).await.unwrap().finish().await.unwrap();
        let mp3 = Mp3 {
            id: mp3,
            length: blob.length,
            sha256: blob.sha256,
            duration_ms: 1,
            loudness: None,
        };
        let change = Change::Succeed { claim: 1, mp3 };
        let record = storage.change(record.id, &change).await.unwrap();
        storage.forget(file).await.unwrap();
        (video, record)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_had_its_time_goes_and_its_record_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
        let (video, done) = converted(&storage, true).await;
        let (wanted, waiting) = converted(&storage, false).await;
        let (unwanted, gone) = converted(&storage, true).await;
        storage.condemn(&unwanted, Timestamp::now()).await.unwrap();
        for _ in 0..2 {
            sweep(&storage).await.unwrap();
            let after = storage.conversion(done.id).await.unwrap();
            assert!(after.mp3_expired && after.mp3 == done.mp3, "{after:?}");
            assert!(matches!(storage.open_mp3(done.id.mp3(1)).await, Err(Error::NotFound)));
            assert!(matches!(storage.video(video.id).await, Err(Error::NotFound)));
            assert!(matches!(storage.open_video(video.id).await, Err(Error::NotFound)));
            assert!(matches!(storage.conversion(gone.id).await, Err(Error::NotFound)));
            assert!(matches!(storage.video(unwanted.id).await, Err(Error::NotFound)));
            // Its conversion still waits for it.
            assert_eq!(storage.video(wanted.id).await.unwrap(), wanted);
        }
        storage.change(waiting.id, &Change::Cancel).await.unwrap();
        sweep(&storage).await.unwrap();
        assert!(matches!(storage.video(wanted.id).await, Err(Error::NotFound)));
        assert_eq!(std::fs::read_dir(folder.path().join("videos")).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder.path().join("mp3s")).unwrap().count(), 0);
    }
}
