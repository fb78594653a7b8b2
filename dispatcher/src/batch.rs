//! Batches: stored videos converted anew. In every pass each open batch gets what it lacks: a few more
//! conversions that wait, or its end.
//!
//! What must hold: at most a window of a batch's conversions waits, so that no batch fills the store or
//! stands in anybody's way; the conversions are added before the batch says that it has walked past
//! them, and their ids follow from it, so that a crash in between adds none twice.

use domain::{Batch, BatchChange, BatchState, Change, Conversion, ConversionId, Stretch};
use jiff::Timestamp;
use storage::{AddError, BatchError, ChangeError, Error, Progress, Storage};

/// Conversions of one batch that wait or run at one time, beyond which none are added.
pub(crate) const WINDOW: u32 = 100;
/// Conversions that are looked at in one step of the walk.
const STRETCH: u32 = 100;

/// What a batch wants done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Look at the next conversions, and add those that it wants.
    Walk,
    /// Call off what has not ended.
    CallOff,
    /// Say that all has ended.
    Finish,
    /// Nothing for now.
    Wait,
}

fn next(batch: &Batch, progress: &Progress) -> Step {
    let open = progress.open();
    match batch.state {
        BatchState::Running if !batch.walked && open < u64::from(WINDOW) => Step::Walk,
        BatchState::Running if batch.walked && open == 0 => Step::Finish,
        BatchState::Cancelled if open > 0 => Step::CallOff,
        BatchState::Cancelled => Step::Finish,
        BatchState::Running | BatchState::Paused | BatchState::Done => Step::Wait,
    }
}

/// Does one step of each. Whether another pass should follow at once.
pub(crate) async fn tend(storage: &Storage, batches: &[Batch]) -> Result<bool, Error> {
    let mut more = false;
    for batch in batches {
        let step = next(batch, &storage.progress(&batch.id).await?);
        let change = match step {
            Step::Wait => continue,
            Step::Walk => Some(BatchChange::Walk(walk(storage, batch).await?)),
            Step::Finish => Some(BatchChange::Finish),
            Step::CallOff => {
                call_off(storage, batch).await?;
                None
            }
        };
        more = true;
        if let Some(change) = change {
            match storage.change_batch(&batch.id, &change).await {
                // Somebody else has gone on with it, or has paused it.
                Ok(_) | Err(BatchError::Refused(_)) => {}
                Err(BatchError::Storage(error)) => return Err(error),
            }
        }
        if step == Step::Finish {
            tracing::info!(batch.id = %batch.id, "a batch has come to its end");
        }
    }
    Ok(more)
}

async fn walk(storage: &Storage, batch: &Batch) -> Result<Stretch, Error> {
    // What came later has a higher id.
    let end = ConversionId::lowest_at(batch.created_at);
    let seen = storage.walk(batch.cursor, end, STRETCH).await?;
    let (mut found, mut skipped) = (0, 0);
    for old in seen.iter().filter(|old| batch.wants(old)) {
        found += 1;
        skipped += u64::from(!add(storage, batch, old).await?);
    }
    let to = seen.last().map(|last| last.id);
    let is_last = seen.len() < STRETCH as usize;
    Ok(Stretch { from: batch.cursor, to, found, skipped, is_last })
}

/// Whether the batch has a conversion of this video now; not where the video is gone.
async fn add(storage: &Storage, batch: &Batch, old: &Conversion) -> Result<bool, Error> {
    let video = match storage.video(old.video).await {
        Ok(video) if !video.deleted => video,
        Ok(_) | Err(Error::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    };
    match storage.add(&batch.conversion(old, &video, Timestamp::now())).await {
        Ok(()) | Err(AddError::Duplicate(_)) => Ok(true),
        Err(AddError::Storage(Error::NotFound)) => Ok(false),
        Err(AddError::Storage(error)) => Err(error),
    }
}

async fn call_off(storage: &Storage, batch: &Batch) -> Result<(), Error> {
    for open in storage.open_of_batch(&batch.id, WINDOW).await? {
        match storage.change(open.id, &Change::Cancel).await {
            Ok(_) | Err(ChangeError::Refused(_)) => {}
            Err(ChangeError::Storage(error)) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        BatchWish, FileName, Matching, NewConversion, Options, PendingKind, Preset, Role, State,
        Video, VideoId,
    };
    use jiff::SignedDuration;

    async fn upload(storage: &Storage, owner: &str) -> Conversion {
        let id = VideoId::generate();
        let mut file = storage.create(PendingKind::Video { video: id }).await.unwrap();
        file.append("film".into()).await.unwrap();
        let blob = file.finish().await.unwrap();
        let video = Video {
            id,
            owner: owner.parse().unwrap(),
            name: FileName::from("film.mp4".to_owned()),
            length: blob.length,
            sha256: blob.sha256,
            created_at: Timestamp::now(),
            expires_at: None,
            deleted: false,
        };
        let new = NewConversion {
            video: &video,
            role: Role::User,
            options: Options::default(),
            idempotency: None,
            mp3_kept_for: None,
        };
        let record = Conversion::new(ConversionId::generate(), new, Timestamp::now());
        storage.accept(&video, &record).await.unwrap();
        record
    }

    fn batch_of_ada() -> Batch {
        let matching = Matching { owner: Some("ada".parse().unwrap()), ..Matching::default() };
        let options = Options { preset: Preset::V0, ..Options::default() };
        let wish = BatchWish { matching, options, replace: false };
        let later = Timestamp::now() + SignedDuration::from_millis(5);
        Batch::new("louder".parse().unwrap(), "root".parse().unwrap(), wish, later)
    }

    async fn tended(storage: &Storage) -> Batch {
        while tend(storage, &storage.batches(true).await.unwrap()).await.unwrap() {}
        storage.batch(&"louder".parse().unwrap()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_adds_each_video_once_within_its_window_and_ends_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
        let mut olds = Vec::new();
        for _ in 0..130 {
            olds.push(upload(&storage, "ada").await);
        }
        upload(&storage, "bob").await;
        let gone = storage.video(olds[3].video).await.unwrap();
        storage.condemn(&gone, Timestamp::now()).await.unwrap();
        let batch = batch_of_ada();
        storage.add_batch(&batch).await.unwrap();
        // As after a crash between adding and saying so.
        walk(&storage, &batch).await.unwrap();
        let halted = tended(&storage).await;
        assert_eq!((halted.walked, halted.state), (true, BatchState::Running));
        assert_eq!((halted.found, halted.skipped), (130, 1));
        let progress = storage.progress(&batch.id).await.unwrap();
        assert_eq!(progress.queued, 129, "{progress:?}");
        for old in &olds {
            let new = storage.conversion(batch.conversion_id(old.video)).await;
            assert_eq!(new.is_ok(), old.video != gone.id);
        }
        storage.change_batch(&batch.id, &BatchChange::Cancel).await.unwrap();
        let ended = tended(&storage).await;
        assert!(!ended.is_open());
        assert_eq!(storage.progress(&batch.id).await.unwrap().cancelled, 129);
        assert_eq!(storage.conversion(olds[0].id).await.unwrap().state, State::Queued);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_paused_batch_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
        upload(&storage, "ada").await;
        let batch = batch_of_ada();
        storage.add_batch(&batch).await.unwrap();
        storage.change_batch(&batch.id, &BatchChange::Pause).await.unwrap();
        assert!(!tended(&storage).await.walked);
        storage.change_batch(&batch.id, &BatchChange::Resume).await.unwrap();
        assert!(tended(&storage).await.walked);
    }
}
