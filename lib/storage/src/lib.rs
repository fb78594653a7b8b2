//! Videos, MP3s and the records about them: MongoDB (GridFS and collections) on a cluster, files and
//! SQLite on one machine. This is the only place that knows which.
//!
//! What must hold: a record changes only through [`Storage::change`], one compare-and-set of the
//! version that was read; no file is ever whole in memory; a file gets a pending marker before its
//! first byte, so that whatever a crash leaves behind can be found.

mod beside;
mod blob;
mod columns;
mod embedded;
mod examine;
mod mongo;

pub use beside::Beside;
pub use blob::{Blob, BlobReader, BlobWriter, PATCHABLE};
pub use examine::examine;

use domain::{
    Applied, Change, Conversion, ConversionId, FileName, Idempotency, Mp3Id, Pending, PendingKind,
    Refused, State, UserName, Video, VideoId,
};
use futures::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use tokio::sync::watch;

/// Where everything lies. Cheap to clone.
#[derive(Clone)]
pub enum Storage {
    /// MongoDB: a standalone server or a replica set.
    Mongo(mongo::Mongo),
    /// A folder on this machine: files and one SQLite database.
    Embedded(embedded::Embedded),
}

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such record or file.
    #[error("not found")]
    NotFound,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The stored bytes are not the ones that were accepted.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The store cannot be reached or did not answer; the request may or may not have been done.
    #[error("storage is not available: {0}")]
    Unavailable(String),
    /// The address is none of ours.
    #[error("{0}")]
    Address(String),
}

impl Error {
    /// Whether waiting may mend it.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full)
    }
}

/// Why a conversion was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// This conversion is there already: it has the same id, or the same owner and idempotency key.
    #[error("conversion {} is there already", .0.id)]
    Duplicate(Box<Conversion>),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The record does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Storage failed; the change may have been made. Reading the record again tells.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// A part of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page<Id> {
    /// Only what is older than this.
    pub before: Option<Id>,
    /// Only this and what is newer.
    pub from: Option<Id>,
    /// At most this many.
    pub limit: u32,
}

/// Which of a user's conversions a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those in this state.
    InState(State),
    /// Those of this video.
    OfVideo(VideoId),
}

/// What a user has in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of videos and MP3s.
    pub bytes: u64,
    /// Conversions that are queued or running, without those of batches: the user has not asked for
    /// them.
    pub waiting: u64,
}

/// What waits for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Queued conversions.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

/// What the dispatcher wants to know of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Running; the longest dispatched first.
    Running,
    /// Not final, and its `video` message was never confirmed.
    Unannounced,
    /// Succeeded, and its `mp3` event was never confirmed.
    Unpublished,
    /// With an MP3 whose time is over by this time, and which is still there.
    Expired(Timestamp),
}

/// What the writer of a file reads that the sweeper has taken for dead.
fn abandoned() -> Error {
    Error::Unavailable("the file was given up as abandoned".to_owned())
}

macro_rules! on {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Storage::Mongo($store) => $call,
            Storage::Embedded($store) => $call,
        }
    };
}

mod control;
mod due;

pub use control::{BatchError, Estimate, Progress};
pub use due::Wanted;

impl Storage {
    /// Opens the store at `url`: `mongodb://host/database` or `file:/folder`. Makes what is missing.
    pub async fn open(url: &str) -> Result<Self, Error> {
        if url.starts_with("mongodb://") || url.starts_with("mongodb+srv://") {
            return mongo::Mongo::open(url).await.map(Self::Mongo);
        }
        match url.strip_prefix("file:") {
            Some(folder) => embedded::Embedded::open(folder.as_ref()).await.map(Self::Embedded),
            None => {
                Err(Error::Address("a storage address starts with mongodb:// or file:".to_owned()))
            }
        }
    }

    /// Starts a file: writes its pending marker, then takes bytes.
    pub async fn create(&self, file: PendingKind) -> Result<BlobWriter, Error> {
        let pending = Pending { kind: file, touched_at: Timestamp::now() };
        on!(self, store => store.mark(&pending).await)?;
        BlobWriter::new(self.clone(), file).await
    }

    /// Opens a video's bytes.
    pub async fn open_video(&self, video: VideoId) -> Result<BlobReader, Error> {
        BlobReader::open(self, blob::Name::Video(video)).await
    }

    /// Opens an MP3's bytes.
    pub async fn open_mp3(&self, mp3: Mp3Id) -> Result<BlobReader, Error> {
        BlobReader::open(self, blob::Name::Mp3(mp3)).await
    }

    /// The texts beside an MP3; none where it has none, or is not there.
    pub async fn beside(&self, mp3: Mp3Id) -> Result<Option<Beside>, Error> {
        on!(self, store => store.beside(blob::Name::Mp3(mp3)).await)
    }

    /// Opens a file that the original system has stored; says its name too.
    pub async fn open_foreign(&self, fid: &str) -> Result<(BlobReader, FileName), Error> {
        match self {
            Self::Mongo(store) => store.open_foreign(fid).await,
            // It knew MongoDB only.
            Self::Embedded(_) => Err(Error::NotFound),
        }
    }

    /// Ids of all files that the original system has stored as videos.
    pub async fn foreign_fids(&self) -> Result<BoxStream<'static, Result<String, Error>>, Error> {
        match self {
            Self::Mongo(store) => store.foreign_fids().await,
            Self::Embedded(_) => Ok(stream::empty().boxed()),
        }
    }

    /// Deletes a file's bytes, finished or not. A file that is not there is deleted already.
    pub async fn delete(&self, file: PendingKind) -> Result<(), Error> {
        on!(self, store => store.delete(blob::Name::from(file)).await)
    }

    /// Removes a file's pending marker: a record names it, or nobody ever will.
    pub async fn forget(&self, file: PendingKind) -> Result<(), Error> {
        on!(self, store => store.forget(blob::Name::from(file)).await)
    }

    /// Renews a file's marker; an error where the sweeper has removed it.
    pub(crate) async fn touch(&self, file: PendingKind) -> Result<(), Error> {
        let pending = Pending { kind: file, touched_at: Timestamp::now() };
        if on!(self, store => store.touch(&pending).await)? { Ok(()) } else { Err(abandoned()) }
    }

    /// Pending markers, the longest silent first.
    pub async fn pending(&self, limit: u32) -> Result<Vec<Pending>, Error> {
        on!(self, store => store.pending(limit).await)
    }

    /// Adds the record of a finished upload and its first conversion, and removes the marker.
    ///
    /// When it returns `Ok` both are durable. Calling it again after a lost reply is safe.
    ///
    /// # Errors
    /// After `Duplicate` nothing names the file, and the caller deletes it. After any other error the
    /// conversion may have come to be: the marker and the file are left to the sweeper, who looks.
    pub async fn accept(&self, video: &Video, conversion: &Conversion) -> Result<(), AddError> {
        if let Self::Embedded(store) = self
            && store.accept(video, conversion).await?
        {
            return Ok(());
        }
        on!(self, store => store.insert_video(video).await)?;
        match self.insert(conversion).await {
            Err(AddError::Duplicate(first)) if first.video == video.id => {}
            Err(AddError::Duplicate(first)) => {
                self.remove_video(video.id).await?;
                return Err(AddError::Duplicate(first));
            }
            added => added?,
        }
        let file = PendingKind::Video { video: video.id };
        if let Err(error) = self.forget(file).await {
            tracing::warn!(error = %error, video.id = %video.id, "the marker stays for the sweeper");
        }
        Ok(())
    }

    /// Adds a conversion of a video that is stored already.
    ///
    /// # Errors
    /// `NotFound` where the video has been deleted, also while this was under way.
    pub async fn add(&self, conversion: &Conversion) -> Result<(), AddError> {
        self.insert(conversion).await?;
        // A deletion looks for conversions after the video is marked: it has seen this one, or we
        // see the mark.
        match self.video(conversion.video).await {
            Ok(video) if !video.deleted => Ok(()),
            Ok(_) | Err(Error::NotFound) => {
                on!(self, store => store.remove_conversion(conversion.id).await)?;
                Err(Error::NotFound.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn insert(&self, conversion: &Conversion) -> Result<(), AddError> {
        if on!(self, store => store.insert_conversion(conversion).await)? {
            return Ok(());
        }
        let first = match (self.conversion(conversion.id).await, &conversion.idempotency) {
            (Err(Error::NotFound), Some(Idempotency { key })) => {
                let of_key = self.conversion_of_key(&conversion.owner, key).await?;
                of_key.ok_or(Error::NotFound)?
            }
            (of_id, _) => of_id?,
        };
        Err(AddError::Duplicate(Box::new(first)))
    }

    /// A video's record, from the primary.
    pub async fn video(&self, id: VideoId) -> Result<Video, Error> {
        on!(self, store => store.video(id).await)?.ok_or(Error::NotFound)
    }

    /// Removes a video's record, and nothing else.
    pub async fn remove_video(&self, id: VideoId) -> Result<(), Error> {
        on!(self, store => store.remove_video(id).await)
    }

    /// A user's videos, newest first.
    pub async fn videos(
        &self,
        owner: &UserName,
        page: &Page<VideoId>,
    ) -> Result<Vec<Video>, Error> {
        on!(self, store => store.videos(owner, page).await)
    }

    /// A conversion's record, from the primary.
    pub async fn conversion(&self, id: ConversionId) -> Result<Conversion, Error> {
        self.versioned(id).await.map(|(_, record)| record)
    }

    /// A user's conversions, newest first.
    pub async fn conversions(
        &self,
        owner: &UserName,
        which: Which,
        page: &Page<ConversionId>,
    ) -> Result<Vec<Conversion>, Error> {
        on!(self, store => store.conversions(owner, which, page).await)
    }

    /// The conversions of these ids that there are, in no order.
    pub async fn conversions_of_ids(&self, ids: &[ConversionId]) -> Result<Vec<Conversion>, Error> {
        on!(self, store => store.conversions_of_ids(ids).await)
    }

    /// Tells when this process has written a conversion. None where others write as much: there
    /// only reading again tells.
    pub fn changes(&self) -> Option<watch::Receiver<()>> {
        match self {
            Self::Mongo(_) => None,
            Self::Embedded(store) => Some(store.changes()),
        }
    }

    /// What a user has stored, and waits for.
    pub async fn usage(&self, owner: &UserName) -> Result<Usage, Error> {
        on!(self, store => store.usage(owner).await)
    }

    /// Bytes that are free on the disk, where the store can tell.
    pub async fn free_bytes(&self) -> Result<Option<u64>, Error> {
        on!(self, store => store.free_bytes().await)
    }

    /// Marks a video as deleted: its owner no longer sees it, and [`Storage::purge`] may begin. When
    /// it returns, the deletion will be carried out whatever happens.
    pub async fn condemn(&self, video: &Video, now: Timestamp) -> Result<(), Error> {
        let gone = Video { deleted: true, expires_at: Some(now), ..video.clone() };
        on!(self, store => store.replace_video(&gone).await)
    }

    /// Videos whose time is over by `now`, and deleted ones; the longest over first.
    pub async fn expired_videos(&self, now: Timestamp, limit: u32) -> Result<Vec<Video>, Error> {
        on!(self, store => store.expired_videos(now, limit).await)
    }

    /// Whether a conversion of this video is queued or running.
    pub async fn is_wanted(&self, video: VideoId) -> Result<bool, Error> {
        on!(self, store => store.is_wanted(video).await)
    }

    /// Deletes a condemned video and all that hangs on it; repeating it is safe. The video's record
    /// goes last: as long as it is there, somebody will finish this.
    pub async fn purge(&self, video: VideoId) -> Result<(), Error> {
        loop {
            let all = on!(self, store => store.conversions_of_video(video, 100).await)?;
            if all.is_empty() {
                break;
            }
            for conversion in all {
                self.remove_conversion(&conversion).await?;
            }
        }
        self.delete(PendingKind::Video { video }).await?;
        self.remove_video(video).await
    }

    /// Ends a conversion, so that no attempt can commit, and removes what it has. Files of attempts
    /// that lost have markers, and the sweeper finds no record that wants them.
    async fn remove_conversion(&self, conversion: &Conversion) -> Result<(), Error> {
        let last = match self.change(conversion.id, &Change::Cancel).await {
            Ok(last) => last,
            Err(ChangeError::Refused(Refused::Gone)) => return Ok(()),
            Err(ChangeError::Refused(_)) => self.conversion(conversion.id).await?,
            Err(ChangeError::Storage(error)) => return Err(error),
        };
        if let Some(mp3) = &last.mp3 {
            let (mp3, conversion, claim) = (mp3.id, last.id, last.claim);
            self.delete(PendingKind::Mp3 { mp3, conversion, claim }).await?;
        }
        on!(self, store => store.remove_conversion(last.id).await)
    }

    /// The conversion whose result this MP3 is.
    pub async fn conversion_of_mp3(&self, mp3: Mp3Id) -> Result<Conversion, Error> {
        on!(self, store => store.conversion_of_mp3(mp3).await)?.ok_or(Error::NotFound)
    }

    /// Any conversion of this video.
    pub async fn conversion_of_video(&self, video: VideoId) -> Result<Option<Conversion>, Error> {
        on!(self, store => store.conversions_of_video(video, 1).await).map(|mut any| any.pop())
    }

    /// The conversion that its owner made with this idempotency key.
    pub async fn conversion_of_key(
        &self,
        owner: &UserName,
        key: &str,
    ) -> Result<Option<Conversion>, Error> {
        on!(self, store => store.conversion_of_key(owner, key).await)
    }

    /// Records that want something done.
    pub async fn work(&self, work: Work, limit: u32) -> Result<Vec<Conversion>, Error> {
        on!(self, store => store.work(work, limit).await)
    }

    /// How much waits for its turn.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        on!(self, store => store.backlog().await)
    }

    /// An error where the store does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        on!(self, store => store.ping().await)
    }

    /// When the next queued conversion that is not due at `now` becomes due.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        on!(self, store => store.next_due(now).await)
    }

    /// Makes one change: reads the record, applies the change, writes it where nobody else has
    /// written since, else begins again. Returns the record as it then is.
    pub async fn change(
        &self,
        id: ConversionId,
        change: &Change,
    ) -> Result<Conversion, ChangeError> {
        loop {
            let (version, record) = match self.versioned(id).await {
                Err(Error::NotFound) => return Err(Refused::Gone.into()),
                read => read?,
            };
            match record.apply(change, Timestamp::now())? {
                Applied::Already => return Ok(record),
                Applied::Changed(next) => {
                    if on!(self, store => store.replace(version, &next).await)? {
                        return Ok(*next);
                    }
                }
            }
        }
    }

    async fn versioned(&self, id: ConversionId) -> Result<(i64, Conversion), Error> {
        on!(self, store => store.conversion(id).await)?.ok_or(Error::NotFound)
    }
}
