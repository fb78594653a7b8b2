//! One upload: from the socket into storage as it comes, then its records, then the doorbell.
//!
//! What must hold: an answer of 202 means that the records are committed; a request that ends in any
//! other way, its client's disappearance included, leaves nothing behind.

use crate::{
    HttpConfig, announcement,
    body::{self, Body},
    context::Context,
    error::Error,
    form,
    idempotency::{measure, repeated},
    identity::Identity,
    limits::{self, Share},
};
use domain::{
    Conversion, ConversionId, FileName, Idempotency, NewConversion, Options, PendingKind,
    TraceParent, Video, VideoId,
};
use futures::TryStreamExt;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use storage::{AddError, Blob, BlobWriter};
use tokio::{sync::AcquireError, time::timeout};

/// Longest wait for other uploads to end.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(10);
/// What a form may add to its file: heads, boundaries, further fields.
const FORM_OVERHEAD: u64 = 64 * 1024;

/// What a client asks for with its video.
pub(crate) struct Upload {
    pub(crate) identity: Identity,
    /// The name in the address or in the request's head; it wins over the form's.
    pub(crate) name: Option<String>,
    pub(crate) options: Options,
    pub(crate) key: Option<Idempotency>,
    /// The client's own, gone on with, or a new one.
    pub(crate) trace: TraceParent,
    /// As declared in the head.
    pub(crate) length: Option<u64>,
    /// The content type, if the body is a form.
    pub(crate) form: Option<String>,
}

/// Takes a video in and returns its first conversion, or that of an earlier request with this key.
pub(crate) async fn receive(
    context: &Arc<Context>,
    mut upload: Upload,
    body: Body,
) -> Result<Conversion, Error> {
    let most = context.http.max_upload_bytes;
    let limit = if upload.form.is_some() { most.saturating_add(FORM_OVERHEAD) } else { most };
    if upload.length.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge(most));
    }
    let seats = context.ledger.seats(&upload.identity.user, context.http.max_uploads);
    let room = async { Ok((seats.acquire().await?, context.uploads.acquire().await?)) };
    let room: Result<Result<_, AcquireError>, _> = timeout(WAIT_FOR_ROOM, room).await;
    let _room = room.map_err(|_| Error::Busy)?.map_err(|_| Error::Busy)?;
    let mut video = body::bounded(body, limit);
    if let Some(content_type) = &upload.form {
        let file = form::file(video, content_type).await?;
        upload.name = upload.name.or(file.name);
        video = file.bytes;
    }
    if let Some(Idempotency { key }) = &upload.key
        && let Some(first) = context.storage.conversion_of_key(&upload.identity.user, key).await?
    {
        let blob = measure(video).await?;
        return repeated(context, first, &blob, &upload.options).await;
    }
    let mut share = limits::admit(context, &upload.identity.user, upload.length).await?;
    let mut draft = Draft::new(context).await?;
    draft.fill(video, &mut share).await?;
    // It may have taken hours. What cannot be asked now was good when it began.
    match context.verifier.still_good(&upload.identity).await {
        Ok(()) | Err(Error::Unavailable(_)) => {}
        Err(error) => return Err(error),
    }
    // From here on the client's disappearance changes nothing.
    context.to_the_end(accept(context.clone(), draft, upload)).await
}

/// A file that no record names yet. Dropped unfinished, it is deleted: when a client goes away its
/// request's future is dropped wherever it stands.
struct Draft {
    id: VideoId,
    writer: Option<BlobWriter>,
    context: Arc<Context>,
}

impl Draft {
    async fn new(context: &Arc<Context>) -> Result<Self, Error> {
        let owned = context.clone();
        // Run to its end, so that a file that has been begun always gets its guard.
        let begun = context.to_the_end(async move {
            let id = VideoId::generate();
            let file = PendingKind::Video { video: id };
            let writer = Some(owned.storage.create(file).await?);
            Ok(Self { id, writer, context: owned })
        });
        begun.await
    }

    async fn fill(&mut self, mut video: Body, share: &mut Share) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        while let Some(chunk) = video.try_next().await? {
            share.take(chunk.len() as u64).await?;
            writer.append(chunk).await?;
        }
        Ok(())
    }

    /// Makes the file durable.
    async fn finish(mut self) -> Result<Blob, Error> {
        let Some(writer) = self.writer.take() else {
            return Err(Error::Internal("the file was finished before".to_owned()));
        };
        match writer.finish().await {
            Ok(blob) => Ok(blob),
            Err(error) => {
                delete(&self.context, self.id).await;
                Err(error.into())
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        let id = self.id;
        self.context.tasks.spawn(async move {
            match writer.discard().await {
                Ok(()) => tracing::debug!(video.id = %id, "an unfinished upload was deleted"),
                Err(error) => {
                    tracing::warn!(error = %error, video.id = %id, "the sweeper deletes it")
                }
            }
        });
    }
}

/// Commits the records of a whole file and rings for them.
async fn accept(context: Arc<Context>, draft: Draft, upload: Upload) -> Result<Conversion, Error> {
    let id = draft.id;
    let blob = draft.finish().await?;
    let (video, conversion) = records(&context.http, id, &blob, upload);
    match context.storage.accept(&video, &conversion).await {
        Ok(()) => {}
        Err(AddError::Duplicate(first)) => {
            delete(&context, id).await;
            return repeated(&context, *first, &blob, &conversion.options).await;
        }
        // The reply may have been lost on its way back, or the write may still be on its way there:
        // the record tells, now or to the sweeper.
        Err(AddError::Storage(error)) => {
            if context.storage.conversion(conversion.id).await.is_err() {
                return Err(error.into());
            }
        }
    }
    tracing::info!(conversion.id = %conversion.id, video.length = video.length, "a video was accepted");
    announcement::of_video(&context, &conversion).await;
    Ok(conversion)
}

fn records(http: &HttpConfig, id: VideoId, blob: &Blob, upload: Upload) -> (Video, Conversion) {
    let now = Timestamp::now();
    let video = Video {
        id,
        owner: upload.identity.user,
        name: FileName::from(upload.name.unwrap_or_default()),
        length: blob.length,
        sha256: blob.sha256.clone(),
        created_at: now,
        expires_at: http.video_retention.and_then(|kept| now.checked_add(kept).ok()),
        deleted: false,
        foreign_fid: None,
    };
    let new = NewConversion {
        video: &video,
        role: upload.identity.role,
        options: upload.options,
        idempotency: upload.key,
        mp3_kept_for: http.mp3_retention,
    };
    let mut conversion = Conversion::new(ConversionId::generate(), new, now);
    conversion.trace = Some(upload.trace);
    (video, conversion)
}

/// Deletes a file that no conversion names, and what names the file.
async fn delete(context: &Context, id: VideoId) {
    let file = PendingKind::Video { video: id };
    let deleted = async {
        context.storage.delete(file).await?;
        context.storage.remove_video(id).await?;
        context.storage.forget(file).await
    };
    if let Err(error) = deleted.await {
        tracing::warn!(error = %error, video.id = %id, "a refused upload stays for the sweeper");
    }
}
