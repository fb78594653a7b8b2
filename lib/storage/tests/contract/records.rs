//! Records: what was accepted is there once, and no change is lost to another.

use crate::store::{
    Store, accepted, ada, added, at, changed, conversion_of, first, noise, put, running, success,
    video_of,
};
use domain::{Change, Conversion, ConversionId, PendingKind, Refused, State, Video};
use futures::future::join_all;
use std::collections::BTreeSet;
use storage::{AddError, ChangeError, Error, Storage, Which};

/// A stored upload and the records that are to name it.
async fn ready(storage: &Storage, key: Option<&str>) -> (Video, Conversion) {
    let mut video = video_of(&ada());
    video.id = put(storage, &noise(4)).await;
    let conversion = conversion_of(&video, key, at(1));
    (video, conversion)
}

fn winner_of(answer: Result<(), AddError>) -> ConversionId {
    match answer {
        Err(AddError::Duplicate(first)) => first.id,
        other => panic!("expected a duplicate, not {other:?}"),
    }
}

pub(crate) async fn an_accepted_upload_is_all_there(Store { storage, .. }: Store) {
    let (video, conversion) = ready(&storage, None).await;
    assert_eq!(storage.pending(10).await.unwrap().len(), 1);
    storage.accept(&video, &conversion).await.unwrap();
    assert_eq!(storage.pending(10).await.unwrap(), []);
    assert_eq!(storage.video(video.id).await.unwrap(), video);
    assert_eq!(storage.conversion(conversion.id).await.unwrap(), conversion);
    assert_eq!(storage.open_video(video.id).await.unwrap().length(), 4);
    storage.remove_video(video.id).await.unwrap();
    assert!(matches!(storage.video(video.id).await, Err(Error::NotFound)));
}

pub(crate) async fn accepting_again_after_a_lost_reply_is_safe(Store { storage, .. }: Store) {
    let (video, conversion) = ready(&storage, Some("key")).await;
    for _ in 0..2 {
        storage.accept(&video, &conversion).await.unwrap();
    }
    assert_eq!(storage.video(video.id).await.unwrap(), video);
    assert_eq!(storage.conversion(conversion.id).await.unwrap(), conversion);
}

pub(crate) async fn a_duplicate_leaves_no_video_record(Store { storage, .. }: Store) {
    let (video, first) = ready(&storage, Some("key")).await;
    storage.accept(&video, &first).await.unwrap();
    let (second_video, second) = ready(&storage, Some("key")).await;
    assert_eq!(winner_of(storage.accept(&second_video, &second).await), first.id);
    assert!(matches!(storage.video(second_video.id).await, Err(Error::NotFound)));
    assert!(matches!(storage.conversion(second.id).await, Err(Error::NotFound)));
    // The second's file still has its marker, for whoever deletes it.
    let file = PendingKind::Video { video: second_video.id };
    assert_eq!(storage.pending(10).await.unwrap()[0].kind, file);
}

pub(crate) async fn of_fifty_with_one_key_one_wins(Store { storage, .. }: Store) {
    let requests: Vec<_> = (0..50).map(|_| video_of(&ada())).collect();
    let requests: Vec<_> =
        requests.iter().map(|video| (video, conversion_of(video, Some("key"), at(1)))).collect();
    let answers =
        join_all(requests.iter().map(|(video, conversion)| storage.accept(video, conversion)))
            .await;
    let won: Vec<_> = answers.iter().zip(&requests).filter(|(answer, _)| answer.is_ok()).collect();
    assert_eq!(won.len(), 1);
    let winner = won[0].1.1.id;
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(winner_of(answer), winner);
    }
    let kept = storage.conversions(&ada(), Which::All, &first(100)).await.unwrap();
    assert_eq!(kept.iter().map(|record| record.id).collect::<Vec<_>>(), [winner]);
    assert_eq!(storage.videos(&ada(), &first(100)).await.unwrap().len(), 1);
}

pub(crate) async fn one_key_serves_each_owner(Store { storage, .. }: Store) {
    let bob = "bob".parse().unwrap();
    for owner in [ada(), bob] {
        let conversion = conversion_of(&video_of(&owner), Some("key"), at(1));
        accepted(&storage, &conversion).await;
        let found = storage.conversion_of_key(&owner, "key").await.unwrap();
        assert_eq!(found, Some(conversion));
    }
}

pub(crate) async fn one_id_is_added_once(Store { storage, .. }: Store) {
    for key in [None, Some("key")] {
        let first = conversion_of(&video_of(&ada()), key, at(1));
        accepted(&storage, &first).await;
        let now = running(&storage, first.id).await;
        for later in [first.clone(), Conversion { idempotency: None, ..first.clone() }] {
            assert_eq!(winner_of(storage.add(&later).await), first.id);
        }
        assert_eq!(storage.conversion(first.id).await.unwrap(), now);
    }
}

pub(crate) async fn what_is_not_there_is_not_found(Store { storage, .. }: Store) {
    let id = ConversionId::generate();
    let video = video_of(&ada()).id;
    assert!(matches!(storage.conversion(id).await, Err(Error::NotFound)));
    assert!(matches!(storage.video(video).await, Err(Error::NotFound)));
    assert!(matches!(storage.conversion_of_mp3(id.mp3(1)).await, Err(Error::NotFound)));
    assert_eq!(storage.conversion_of_video(video).await.unwrap(), None);
    assert_eq!(storage.conversion_of_key(&ada(), "key").await.unwrap(), None);
    let changed = storage.change(id, &Change::Cancel).await;
    assert!(matches!(changed, Err(ChangeError::Refused(Refused::Gone))));
    storage.remove_video(video).await.unwrap();
}

pub(crate) async fn twenty_parallel_claims_differ(Store { storage, .. }: Store) {
    let id = added(&storage, at(1)).await.id;
    changed(&storage, id, &[Change::Dispatch { attempt: 1 }]).await;
    let claim = Change::Claim { attempt: 1 };
    let claimed = join_all((0..20).map(|_| storage.change(id, &claim))).await;
    let claims: BTreeSet<_> = claimed.into_iter().map(|record| record.unwrap().claim).collect();
    assert_eq!(claims, (1..=20).collect());
}

pub(crate) async fn a_result_survives_parallel_progress(Store { storage, .. }: Store) {
    for _ in 0..5 {
        let id = added(&storage, at(1)).await.id;
        running(&storage, id).await;
        let progress = |percent| Change::Progress { claim: 1, percent: Some(percent), pace: None };
        let changes: Vec<_> =
            (0..10).map(progress).chain([success(id, 1)]).chain((10..20).map(progress)).collect();
        let answers = join_all(changes.iter().map(|change| storage.change(id, change))).await;
        assert_eq!(answers[10].as_ref().unwrap().state, State::Succeeded);
        let refused = |answer: &Result<_, ChangeError>| {
            matches!(answer, Ok(_) | Err(ChangeError::Refused(Refused::Terminal(State::Succeeded))))
        };
        assert!(answers.iter().all(refused), "{answers:?}");
        let record = storage.conversion(id).await.unwrap();
        assert_eq!((record.state, record.progress), (State::Succeeded, Some(100)));
        assert_eq!(record.mp3.unwrap().id, id.mp3(1));
    }
}

pub(crate) async fn a_refusal_changes_nothing(Store { storage, .. }: Store) {
    let id = added(&storage, at(1)).await.id;
    let early = storage.change(id, &success(id, 1)).await;
    assert!(matches!(early, Err(ChangeError::Refused(Refused::Superseded))));
    let cancelled = changed(&storage, id, &[Change::Cancel]).await;
    let late = storage.change(id, &Change::Dispatch { attempt: 1 }).await;
    assert!(matches!(late, Err(ChangeError::Refused(Refused::Terminal(State::Cancelled)))));
    assert_eq!(storage.change(id, &Change::Cancel).await.unwrap(), cancelled);
    assert_eq!(storage.conversion(id).await.unwrap(), cancelled);
}

pub(crate) async fn a_conversion_is_found_by_all_that_names_it(Store { storage, .. }: Store) {
    let other = conversion_of(&video_of(&ada()), Some("other"), at(1));
    let conversion = conversion_of(&video_of(&ada()), Some("key"), at(1));
    accepted(&storage, &other).await;
    accepted(&storage, &conversion).await;
    assert!(matches!(storage.conversion_of_mp3(conversion.id.mp3(1)).await, Err(Error::NotFound)));
    running(&storage, conversion.id).await;
    let done = changed(&storage, conversion.id, &[success(conversion.id, 1)]).await;
    assert_eq!(storage.conversion_of_mp3(done.id.mp3(1)).await.unwrap(), done);
    assert_eq!(storage.conversion_of_video(done.video).await.unwrap(), Some(done.clone()));
    assert_eq!(storage.conversion_of_key(&ada(), "key").await.unwrap(), Some(done));
    assert_eq!(storage.conversion_of_key(&ada(), "ke").await.unwrap(), None);
}

pub(crate) async fn reopening_finds_everything(Store { storage, url }: Store) {
    let (video, conversion) = ready(&storage, Some("key")).await;
    storage.accept(&video, &conversion).await.unwrap();
    let (_, file) = crate::store::upload();
    drop(storage.create(file).await.unwrap());
    drop(storage);
    let again = Storage::open(&url).await.unwrap();
    assert_eq!(again.video(video.id).await.unwrap(), video);
    assert_eq!(again.conversion(conversion.id).await.unwrap(), conversion);
    assert_eq!(again.open_video(video.id).await.unwrap().read_at(0, 9).await.unwrap(), noise(4));
    assert_eq!(again.pending(10).await.unwrap()[0].kind, file);
}
