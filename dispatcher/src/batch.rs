//! Batches: stored videos converted anew. In every pass each open batch gets what it lacks: a few more
//! conversions that wait, or its end.
//!
//! What must hold: at most a window of a batch's conversions waits, so that no batch fills the store or
//! stands in anybody's way; the conversions are added before the batch says that it has walked past
//! them, and their ids follow from it, so that a crash in between adds none twice.

use domain::{Batch, BatchChange, BatchState, Change, Conversion, ConversionId, Stretch, Video};
use jiff::Timestamp;
use storage::{AddError, BatchError, ChangeError, Error, Page, Progress, Storage, Which};

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

/// Whether the batch has a conversion of this video now; not where the video is gone, or about to go.
async fn add(storage: &Storage, batch: &Batch, old: &Conversion) -> Result<bool, Error> {
    let now = Timestamp::now();
    let stays = |video: &Video| !video.deleted && video.expires_at.is_none_or(|at| at > now);
    let video = match storage.video(old.video).await {
        Ok(video) if stays(&video) => video,
        Ok(_) | Err(Error::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    };
    match storage.add(&batch.conversion(old, &video, now)).await {
        Ok(()) | Err(AddError::Duplicate(_)) => Ok(true),
        Err(AddError::Storage(Error::NotFound)) => Ok(false),
        Err(AddError::Storage(error)) => Err(error),
    }
}

async fn call_off(storage: &Storage, batch: &Batch) -> Result<(), Error> {
    for open in storage.open_of_batch(&batch.id, WINDOW).await? {
        change(storage, &open, &Change::Cancel).await?;
    }
    Ok(())
}

/// The MP3s that a new one takes the place of expire, where its batch was asked for that. Repeating it
/// is safe.
pub(crate) async fn replace(storage: &Storage, new: &Conversion) -> Result<(), Error> {
    let Some(batch) = &new.batch else {
        return Ok(());
    };
    let batch = storage.batch(batch).await?;
    if !batch.wish.replace {
        return Ok(());
    }
    let mut page = Page { before: None, from: None, limit: STRETCH };
    loop {
        let of_video = storage.conversions(&new.owner, Which::OfVideo(new.video), &page).await?;
        for old in of_video.iter().filter(|old| batch.wants(old) && old.mp3.is_some()) {
            change(storage, old, &Change::Replace).await?;
        }
        match of_video.last() {
            Some(last) if of_video.len() == STRETCH as usize => page.before = Some(last.id),
            _ => return Ok(()),
        }
    }
}

/// Makes a change; one that the record refuses is no longer needed.
async fn change(storage: &Storage, record: &Conversion, change: &Change) -> Result<(), Error> {
    match storage.change(record.id, change).await {
        Ok(_) | Err(ChangeError::Refused(_)) => Ok(()),
        Err(ChangeError::Storage(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
