//! What users have stored, and how it goes: by their wish or by time.

use crate::store::{
    Store, accepted, ada, added, at, changed, conversion_of, first, noise, put, running, success,
    video_of,
};
use domain::{Change, Conversion, ConversionId, PendingKind, State, Video};
use jiff::{SignedDuration, Timestamp};
use std::slice::from_ref;
use storage::{AddError, ChangeError, Error, Storage, Usage, Which, Work};

/// A stored video with one finished conversion, whose MP3 is stored too.
async fn finished(storage: &Storage, kept: Option<SignedDuration>) -> (Video, Conversion) {
    let mut video = video_of(&ada());
    video.id = put(storage, &noise(4)).await;
    let mut conversion = conversion_of(&video, None, at(1));
    conversion.mp3_kept_for = kept;
    storage.accept(&video, &conversion).await.unwrap();
    let id = running(storage, conversion.id).await.id;
    let file = PendingKind::Mp3 { mp3: id.mp3(1), conversion: id, claim: 1 };
    storage.create(file).await.unwrap().finish().await.unwrap();
    let conversion = changed(storage, id, &[success(id, 1)]).await;
    storage.forget(file).await.unwrap();
    (video, conversion)
}

pub(crate) async fn usage_follows_what_is_stored(Store { storage, .. }: Store) {
    let usage = async || storage.usage(&ada()).await.unwrap();
    assert_eq!(usage().await, Usage::default());
    let (video, _) = finished(&storage, None).await;
    assert_eq!(usage().await, Usage { bytes: 4 + 4711, waiting: 0 });
    let queued = added(&storage, at(2)).await.id;
    let started = added(&storage, at(3)).await.id;
    running(&storage, started).await;
    assert_eq!(usage().await, Usage { bytes: 4 + 4711 + 8, waiting: 2 });
    // What a batch converts nobody has asked for.
    let (id, batch) = (ConversionId::generate(), Some("louder".parse().unwrap()));
    let record = storage.conversion(queued).await.unwrap();
    storage.add(&Conversion { id, batch, ..record }).await.unwrap();
    assert_eq!(usage().await.waiting, 2);
    changed(&storage, id, &[Change::Cancel]).await;
    changed(&storage, queued, &[Change::Cancel]).await;
    storage.condemn(&video, Timestamp::now()).await.unwrap();
    assert_eq!(usage().await.waiting, 1);
    storage.purge(video.id).await.unwrap();
    assert_eq!(usage().await, Usage { bytes: 8, waiting: 1 });
    assert_eq!(storage.usage(&"bob".parse().unwrap()).await.unwrap(), Usage::default());
}

pub(crate) async fn a_purge_takes_all_that_hangs_on_a_video(Store { storage, .. }: Store) {
    let (video, done) = finished(&storage, None).await;
    let (other, kept) = finished(&storage, None).await;
    let again = conversion_of(&video, None, at(2));
    storage.add(&again).await.unwrap();
    let at_work = running(&storage, again.id).await;
    storage.condemn(&video, Timestamp::now()).await.unwrap();
    // From here on nobody sees it, and whoever comes later finds what is still to be done.
    let listed = storage.videos(&ada(), &first(10)).await.unwrap();
    assert_eq!(listed, from_ref(&other));
    let condemned = storage.expired_videos(Timestamp::now(), 10).await.unwrap();
    assert_eq!(condemned.iter().map(|video| video.id).collect::<Vec<_>>(), [video.id]);
    for _ in 0..2 {
        storage.purge(video.id).await.unwrap();
    }
    let progress = Change::Progress { claim: at_work.claim, percent: Some(50), pace: None };
    let written = storage.change(again.id, &progress).await;
    assert!(matches!(written, Err(ChangeError::Refused(domain::Refused::Gone))));
    assert!(matches!(storage.video(video.id).await, Err(Error::NotFound)));
    assert!(matches!(storage.open_video(video.id).await, Err(Error::NotFound)));
    assert!(matches!(storage.open_mp3(done.id.mp3(1)).await, Err(Error::NotFound)));
    assert_eq!(storage.expired_videos(Timestamp::now(), 10).await.unwrap(), []);
    let left = storage.conversions(&ada(), Which::All, &first(10)).await.unwrap();
    assert_eq!(left, from_ref(&kept));
    assert_eq!(storage.open_mp3(kept.id.mp3(1)).await.unwrap().length(), 0);
    assert_eq!(storage.pending(10).await.unwrap(), []);
}

pub(crate) async fn nothing_is_added_to_a_deleted_video(Store { storage, .. }: Store) {
    let (video, _) = finished(&storage, None).await;
    storage.condemn(&video, Timestamp::now()).await.unwrap();
    for _ in 0..2 {
        let late = conversion_of(&video, Some("key"), at(2));
        let refused = storage.add(&late).await;
        assert!(matches!(refused, Err(AddError::Storage(Error::NotFound))), "{refused:?}");
        assert!(matches!(storage.conversion(late.id).await, Err(Error::NotFound)));
        storage.purge(video.id).await.unwrap();
    }
}

pub(crate) async fn what_expires_is_found_in_time(Store { storage, .. }: Store) {
    let kept_for = SignedDuration::from_mins(1);
    let (_, done) = finished(&storage, Some(kept_for)).await;
    finished(&storage, None).await;
    let expires_at = done.mp3_expires_at.unwrap();
    assert_eq!(expires_at, done.finished_at.unwrap() + kept_for);
    let just_before = expires_at - SignedDuration::from_millis(1);
    assert_eq!(storage.work(Work::Expired(just_before), 10).await.unwrap(), []);
    // The index has milliseconds.
    let after = expires_at + SignedDuration::from_millis(1);
    assert_eq!(storage.work(Work::Expired(after), 10).await.unwrap(), from_ref(&done));
    let early = storage.change(done.id, &Change::Expire).await;
    assert!(matches!(early, Err(ChangeError::Refused(_))), "{early:?}");

    let mut video = video_of(&ada());
    video.expires_at = Some(at(50));
    let conversion = conversion_of(&video, None, at(1));
    storage.accept(&video, &conversion).await.unwrap();
    assert_eq!(storage.expired_videos(at(49), 10).await.unwrap(), []);
    assert_eq!(storage.expired_videos(at(50), 10).await.unwrap(), [video.clone()]);
    assert!(storage.is_wanted(video.id).await.unwrap());
    changed(&storage, conversion.id, &[Change::Cancel]).await;
    assert!(!storage.is_wanted(video.id).await.unwrap());

    let short = conversion_of(&video_of(&ada()), None, at(1));
    let short = Conversion { mp3_kept_for: Some(SignedDuration::ZERO), ..short };
    accepted(&storage, &short).await;
    running(&storage, short.id).await;
    let over = changed(&storage, short.id, &[success(short.id, 1), Change::Expire]).await;
    assert_eq!((over.state, over.mp3_expired), (State::Succeeded, true));
    assert_eq!(storage.work(Work::Expired(Timestamp::now()), 10).await.unwrap(), []);
    storage.change(short.id, &Change::Expire).await.unwrap();
}

pub(crate) async fn free_space_is_known(Store { storage, .. }: Store) {
    assert!(storage.free_bytes().await.unwrap().is_some_and(|bytes| bytes > 1 << 20));
}
