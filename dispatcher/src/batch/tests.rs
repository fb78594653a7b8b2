//! Batches on the embedded store: what is added, once, and what is replaced.

use super::*;
use crate::samples;
use domain::{BatchWish, Matching, Mp3, Options, PendingKind, Preset, State, Video};
use jiff::SignedDuration;
use storage::Estimate;

async fn upload(storage: &Storage, owner: &str) -> Conversion {
    upload_until(storage, owner, None).await
}

/// A video whose time is over then.
async fn upload_until(storage: &Storage, owner: &str, expires_at: Option<Timestamp>) -> Conversion {
    let video = samples::stored_video(storage, Timestamp::now()).await;
    let video = Video { owner: owner.parse().unwrap(), expires_at, ..video };
    let record = samples::conversion(ConversionId::generate(), &video, Timestamp::now());
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
    upload_until(&storage, "ada", Some(Timestamp::UNIX_EPOCH)).await;
    let gone = storage.video(olds[3].video).await.unwrap();
    storage.condemn(&gone, Timestamp::now()).await.unwrap();
    let batch = batch_of_ada();
    storage.add_batch(&batch).await.unwrap();
    // As after a crash between adding and saying so.
    walk(&storage, &batch).await.unwrap();
    let halted = tended(&storage).await;
    assert_eq!((halted.walked, halted.state), (true, BatchState::Running));
    assert_eq!((halted.found, halted.skipped), (131, 2));
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

/// Its MP3 is there.
async fn succeed(storage: &Storage, record: &Conversion) -> Conversion {
    storage.change(record.id, &Change::Dispatch { attempt: 1 }).await.unwrap();
    let claim = storage.change(record.id, &Change::Claim { attempt: 1 }).await.unwrap().claim;
    let id = record.id.mp3(claim);
    let kind = PendingKind::Mp3 { mp3: id, conversion: record.id, claim };
    let mut file = storage.create(kind).await.unwrap();
    file.append("sound".into()).await.unwrap();
    let blob = file.finish().await.unwrap();
    let mp3 = Mp3 { id, length: blob.length, sha256: blob.sha256, duration_ms: 1, loudness: None };
    storage.change(record.id, &Change::Succeed { claim, mp3 }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_mp3_stays_until_the_new_one_is_there() {
    for replaces in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
        let old = succeed(&storage, &upload(&storage, "ada").await).await;
        let mut batch = batch_of_ada();
        batch.wish.replace = replaces;
        storage.add_batch(&batch).await.unwrap();
        tended(&storage).await;
        let new = storage.conversion(batch.conversion_id(old.video)).await.unwrap();
        assert!(!storage.conversion(old.id).await.unwrap().has_expired(Timestamp::now()));
        let new = succeed(&storage, &new).await;
        for _ in 0..2 {
            replace(&storage, &new).await.unwrap();
        }
        let of_old = storage.conversion(old.id).await.unwrap();
        assert_eq!(of_old.has_expired(Timestamp::now()), replaces);
        let of_new = storage.conversion(new.id).await.unwrap();
        assert!(!of_new.has_expired(Timestamp::now()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_counts_videos_once_and_by_what_they_took() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
    let nothing = Estimate { found: 0, videos: 0, work: None };
    assert_eq!(storage.estimate(&batch_of_ada()).await.unwrap(), nothing);
    let first = upload(&storage, "ada").await;
    let again = Conversion { id: ConversionId::generate(), ..first.clone() };
    storage.add(&again).await.unwrap();
    upload(&storage, "bob").await;
    let once = storage.estimate(&batch_of_ada()).await.unwrap();
    assert_eq!(once, Estimate { found: 2, videos: 1, work: None });
    let done = succeed(&storage, &first).await;
    upload(&storage, "ada").await;
    let took = done.finished_at.unwrap().duration_since(done.dispatched_at.unwrap());
    let all = storage.estimate(&batch_of_ada()).await.unwrap();
    assert_eq!((all.found, all.videos), (3, 2));
    // The one that has never succeeded counts as much as the one that has.
    let error = all.work.unwrap().as_secs_f64() - 2.0 * took.as_secs_f64();
    assert!(error.abs() < 1e-6, "{all:?} {took}");
}
