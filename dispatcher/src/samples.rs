//! Records for this crate's tests, which change what matters to them.

use crate::decide::{Known, Limits, Turns};
use domain::{
    Conversion, ConversionId, FileName, Lane, NewConversion, Options, PendingKind, Role, Sha256,
    State, Video, VideoId,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use storage::Storage;

impl Known {
    /// A cluster without anything in it.
    pub(crate) fn nothing() -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            answering_since: Timestamp::MIN,
            limits: Limits { jobs: 0, per_user: 0, pending: SignedDuration::ZERO },
            absent_is_dead: false,
            jobs: Vec::new(),
            paused: false,
            paused_batches: HashSet::new(),
            due: Vec::new(),
            turns: Turns::default(),
            full: None,
            running: Vec::new(),
            others: Vec::new(),
            unannounced: Vec::new(),
            unpublished: Vec::new(),
        }
    }
}

/// A video of ada's, of which no bytes are stored.
pub(crate) fn video(id: VideoId, now: Timestamp) -> Video {
    Video {
        id,
        owner: "ada".parse().unwrap(),
        name: FileName::from("film.mp4".to_owned()),
        length: 1,
        sha256: Sha256::from([0; 32]),
        created_at: now,
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    }
}

/// A video of ada's, and its bytes in storage. No record names them yet.
pub(crate) async fn stored_video(storage: &Storage, now: Timestamp) -> Video {
    let id = VideoId::generate();
    let mut file = storage.create(PendingKind::Video { video: id }).await.unwrap();
    file.append("film".into()).await.unwrap();
    let blob = file.finish().await.unwrap();
    Video { length: blob.length, sha256: blob.sha256, ..video(id, now) }
}

/// A conversion that waits.
pub(crate) fn conversion(id: ConversionId, video: &Video, now: Timestamp) -> Conversion {
    let new = NewConversion {
        video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    Conversion::new(id, new, now)
}

/// Of what there is, that which is known in a pass: in each lane, of so many owners who have waited longest,
/// the first one that is due, and whatever was interrupted.
pub(crate) fn due<'a>(
    records: impl Iterator<Item = &'a Conversion>,
    known: &Known,
    owners: usize,
) -> Vec<Conversion> {
    let stands =
        |it: &Conversion| it.batch.as_ref().is_some_and(|it| known.paused_batches.contains(it));
    let is_due =
        |it: &&Conversion| it.state == State::Queued && it.not_before <= known.now && !stands(it);
    let (owed, mut due): (Vec<_>, Vec<_>) =
        records.filter(is_due).cloned().partition(Conversion::was_interrupted);
    due.sort_by_key(|it| (it.lane(), it.owner.clone(), it.created_at, it.id));
    due.dedup_by_key(|it| (it.lane(), it.owner.clone()));
    due.sort_by_key(|it| (it.lane(), it.created_at, it.id));
    let of = |lane| due.iter().filter(move |it| it.lane() == lane).take(owners);
    Lane::ALL.into_iter().flat_map(of).cloned().chain(owed).collect()
}
