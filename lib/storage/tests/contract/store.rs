//! The stores that the contract is run on, and what every test makes its records from.

use bytes::Bytes;
use domain::{
    Change, Conversion, ConversionId, FileName, Idempotency, NewConversion, Options, PendingKind,
    Role, Sha256, UserName, Video, VideoId,
};
use futures::FutureExt;
use jiff::Timestamp;
use sha2::Digest;
use std::panic::{AssertUnwindSafe, resume_unwind};
use storage::{BlobWriter, Page, Storage};

/// A store of one test's own.
pub(crate) struct Store {
    pub(crate) storage: Storage,
    /// What a second handle or another process opens.
    pub(crate) url: String,
}

pub(crate) async fn on_embedded(test: impl AsyncFnOnce(Store)) {
    let folder = tempfile::tempdir().unwrap();
    // A folder that is not there yet, two levels down.
    let url = format!("file:{}/data/store", folder.path().display());
    let storage = Storage::open(&url).await.unwrap();
    test(Store { storage, url }).await;
}

pub(crate) async fn on_mongodb(server: &str, test: impl AsyncFnOnce(Store)) {
    let name = format!("contract-{}", uuid::Uuid::now_v7());
    let url = format!("{}/{name}", server.trim_end_matches('/'));
    let storage = Storage::open(&url).await.unwrap();
    let ended = AssertUnwindSafe(test(Store { storage, url })).catch_unwind().await;
    let client = mongodb::Client::with_uri_str(server).await.unwrap();
    client.database(&name).drop().await.unwrap();
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// Bytes that look like noise and are the same each time.
pub(crate) fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    <[u8; 32]>::from(sha2::Sha256::digest(bytes)).into()
}

pub(crate) fn upload() -> (VideoId, PendingKind) {
    let video = VideoId::generate();
    (video, PendingKind::Video { video })
}

/// Appends `bytes` in pieces of `piece`.
pub(crate) async fn append(writer: &mut BlobWriter, bytes: &Bytes, piece: usize) {
    for start in (0..bytes.len()).step_by(piece) {
        let end = bytes.len().min(start + piece);
        writer.append(bytes.slice(start..end)).await.unwrap();
    }
}

/// Stores a finished video file.
pub(crate) async fn put(storage: &Storage, bytes: &Bytes) -> VideoId {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    append(&mut writer, bytes, 100_000).await;
    writer.finish().await.unwrap();
    video
}

pub(crate) fn ada() -> UserName {
    "ada".parse().unwrap()
}

/// The record of a video of `owner`.
pub(crate) fn video_of(owner: &UserName) -> Video {
    Video {
        id: VideoId::generate(),
        owner: owner.clone(),
        name: FileName::from("film.mp4".to_owned()),
        length: 4,
        sha256: Sha256::from([7; 32]),
        created_at: at(0),
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    }
}

pub(crate) fn conversion_of(video: &Video, key: Option<&str>, now: Timestamp) -> Conversion {
    let new = NewConversion {
        video,
        role: Role::User,
        options: Options::default(),
        idempotency: key.map(|key| Idempotency { key: key.to_owned() }),
        mp3_kept_for: None,
    };
    Conversion::new(ConversionId::generate(), new, now)
}

/// Adds a conversion of Ada's that was made at `now`.
pub(crate) async fn added(storage: &Storage, now: Timestamp) -> Conversion {
    let conversion = conversion_of(&video_of(&ada()), None, now);
    accepted(storage, &conversion).await;
    conversion
}

/// Adds a conversion and the video that it names.
pub(crate) async fn accepted(storage: &Storage, conversion: &Conversion) {
    let video = Video { id: conversion.video, ..video_of(&conversion.owner) };
    storage.accept(&video, conversion).await.unwrap();
}

/// The first entries of a list.
pub(crate) const fn first<Id>(limit: u32) -> Page<Id> {
    Page { before: None, from: None, limit }
}

/// Makes the changes in order; the record after the last.
pub(crate) async fn changed(storage: &Storage, id: ConversionId, changes: &[Change]) -> Conversion {
    for change in changes {
        storage.change(id, change).await.unwrap();
    }
    storage.conversion(id).await.unwrap()
}

/// Dispatches and claims attempt 1.
pub(crate) async fn running(storage: &Storage, id: ConversionId) -> Conversion {
    let start = [Change::Dispatch { attempt: 1 }, Change::Claim { attempt: 1 }];
    changed(storage, id, &start).await
}

/// The success of claim `claim`.
pub(crate) fn success(id: ConversionId, claim: u32) -> Change {
    let mp3 = domain::Mp3 {
        id: id.mp3(claim),
        length: 4711,
        sha256: Sha256::from([1; 32]),
        duration_ms: 60_000,
        loudness: None,
    };
    Change::Succeed { claim, mp3 }
}

/// So many seconds after the beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}
