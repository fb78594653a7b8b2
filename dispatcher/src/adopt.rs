//! Takes over the videos that producers of the original system announce: a file of theirs, copied
//! into our storage as if it had been uploaded, becomes a video and a conversion.
//!
//! What must hold: their ids follow from the file's, and one writer at a time holds the pending
//! marker, so that messages may come often and dispatchers be many. Whoever fails in the middle
//! leaves all to the sweeper: by now the file may be another's.

use domain::{
    BadUserName, Conversion, ConversionId, FileName, NewConversion, Options, PendingKind, Role,
    UserName, Video, VideoId,
};
use futures::StreamExt;
use jiff::Timestamp;
use queue::VideoMessage;
use std::pin::pin;
use storage::{AddError, BlobReader, Error, Storage};
use tokio::sync::Semaphore;

/// What has become of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// The record says what the message says.
    Done,
    /// There is nothing to convert, though it may yet come.
    Missing(&'static str),
    /// Nothing will ever come of it.
    Refused(&'static str),
}

/// Files copied at once: each takes 8 MiB of memory, and a share of what clients upload through.
static COPIES: Semaphore = Semaphore::const_new(2);

const DAMAGED: &str = "its video is damaged";

/// Makes the record that the message asks for. Returns once it is there, or why it will not be.
pub(crate) async fn adopt(storage: &Storage, message: &VideoMessage) -> Result<Adoption, Error> {
    let fid = &message.video_fid;
    for video in [Some(VideoId::of_foreign(fid)), fid.parse().ok()].into_iter().flatten() {
        if storage.conversion_of_video(video).await?.is_some() {
            return Ok(Adoption::Done);
        }
    }
    let owner = match message.username.as_deref().unwrap_or_default().parse() {
        Ok(owner) => owner,
        Err(BadUserName) => return Ok(Adoption::Refused("its username is missing or too odd")),
    };
    let file = match storage.open_foreign(fid).await {
        Err(Error::NotFound) => return Ok(Adoption::Missing("its video is unknown")),
        Err(Error::Corrupt(_)) => return Ok(Adoption::Missing(DAMAGED)),
        file => file?,
    };
    // Never closed, so never an error.
    let _turn = COPIES.acquire().await;
    copy(storage, message, owner, file).await
}

async fn copy(
    storage: &Storage,
    message: &VideoMessage,
    owner: UserName,
    (bytes, name): (BlobReader, FileName),
) -> Result<Adoption, Error> {
    let id = VideoId::of_foreign(&message.video_fid);
    let file = PendingKind::Video { video: id };
    // An error where there is a marker: another is at work, or the sweeper has yet to come.
    let mut writer = storage.create(file).await?;
    // Another may have come to its end since we looked; from here on nobody does.
    if storage.conversion_of_video(id).await?.is_some() {
        storage.forget(file).await?;
        return Ok(Adoption::Done);
    }
    let length = bytes.length();
    let mut parts = pin!(bytes.stream(0..length));
    while let Some(part) = parts.next().await {
        match part {
            Err(Error::Corrupt(what)) => {
                tracing::warn!(video.fid = message.video_fid, what, "a foreign video is damaged");
                writer.discard().await?;
                return Ok(Adoption::Missing(DAMAGED));
            }
            part => writer.append(part?).await?,
        }
    }
    let blob = writer.finish().await?;
    let video = Video {
        id,
        owner,
        name,
        length: blob.length,
        sha256: blob.sha256,
        created_at: Timestamp::now(),
        expires_at: None,
        deleted: false,
        foreign_fid: Some(message.video_fid.clone()),
    };
    accept(storage, message, &video).await
}

async fn accept(
    storage: &Storage,
    message: &VideoMessage,
    video: &Video,
) -> Result<Adoption, Error> {
    let new = NewConversion {
        video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    let id = ConversionId::of_foreign(&message.video_fid);
    let record = Conversion {
        // By the very message that asks for it.
        announced: true,
        trace: message.trace.clone(),
        ..Conversion::new(id, new, video.created_at)
    };
    match storage.accept(video, &record).await {
        Ok(()) | Err(AddError::Duplicate(_)) => {
            tracing::info!(conversion.id = %id, video.fid = message.video_fid, "a foreign video was accepted");
            Ok(Adoption::Done)
        }
        Err(AddError::Storage(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const FID: &str = "64f0c0ffee64f0c0ffee64f0";

    fn message(fid: &str, username: Option<&str>) -> VideoMessage {
        let username = username.map(str::to_owned);
        VideoMessage { conversion: None, video_fid: fid.to_owned(), username, trace: None }
    }

    /// A store, and a file in it that stands for the original's.
    async fn store() -> (TempDir, Storage, VideoId) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).await.unwrap();
        let source = VideoId::generate();
        let file = PendingKind::Video { video: source };
        let mut writer = storage.create(file).await.unwrap();
        writer.append(vec![7; 3 << 20].into()).await.unwrap();
        writer.finish().await.unwrap();
        storage.forget(file).await.unwrap();
        (folder, storage, source)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_at_once_and_one_after_another_make_one_conversion() {
        let (_folder, storage, source) = store().await;
        let (name, owner) = (FileName::from("film.mp4".to_owned()), "ada@example.org");
        let message = message(FID, Some(owner));
        for _ in 0..2 {
            let copies = (0..4).map(async |_| {
                let file = (storage.open_video(source).await.unwrap(), name.clone());
                copy(&storage, &message, owner.parse().unwrap(), file).await
            });
            let done = futures::future::join_all(copies).await;
            assert!(done.iter().any(|done| matches!(done, Ok(Adoption::Done))), "{done:?}");
            assert_eq!(storage.pending(10).await.unwrap(), []);
        }
        let record = storage.conversion(ConversionId::of_foreign(FID)).await.unwrap();
        assert_eq!((record.video_fid().as_str(), record.owner.as_str()), (FID, owner));
        assert!(record.announced && record.role == Role::User);
        let video = storage.video(record.video).await.unwrap();
        assert_eq!((video.id, video.length), (VideoId::of_foreign(FID), 3 << 20));
        let stored = storage.open_video(video.id).await.unwrap();
        assert!(stored.read_at(0, 3 << 20).await.unwrap() == vec![7; 3 << 20]);
        // Both names that a message may have for it.
        for fid in [FID.to_owned(), video.id.to_string()] {
            let again = VideoMessage { video_fid: fid, ..message.clone() };
            assert_eq!(adopt(&storage, &again).await.unwrap(), Adoption::Done);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_an_owner_or_a_file_there_is_no_conversion() {
        let (_folder, storage, source) = store().await;
        let source = source.to_string();
        for (fid, username, missing) in [
            (FID, None, false),
            (FID, Some("a:b"), false),
            (FID, Some("ada"), true),
            // A file of ours that no record names.
            (&source, Some("ada"), true),
        ] {
            let adoption = adopt(&storage, &message(fid, username)).await.unwrap();
            assert_eq!(matches!(adoption, Adoption::Missing(_)), missing, "{adoption:?}");
            assert_ne!(adoption, Adoption::Done);
        }
        assert_eq!(storage.pending(10).await.unwrap(), []);
    }
}
