//! Stored bytes: a writer that takes them in order and a reader that seeks.

use crate::{Beside, Error, Storage, embedded, mongo};
use bytes::Bytes;
use domain::{Mp3Id, PendingKind, Sha256, VideoId};
use futures::{Stream, StreamExt, stream};
use std::{
    mem,
    ops::Range,
    time::{Duration, Instant},
};

/// A file's name: its kind and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Video(VideoId),
    Mp3(Mp3Id),
}

impl Name {
    /// The kind as a folder or a bucket.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::Video(_) => "videos",
            Self::Mp3(_) => "mp3s",
        }
    }

    /// The id as a file's name.
    pub(crate) fn id(self) -> String {
        match self {
            Self::Video(id) => id.to_string(),
            Self::Mp3(id) => id.to_string(),
        }
    }
}

impl From<PendingKind> for Name {
    fn from(kind: PendingKind) -> Self {
        match kind {
            PendingKind::Video { video } => Self::Video(video),
            PendingKind::Mp3 { mp3, .. } => Self::Mp3(mp3),
        }
    }
}

/// A stored file's measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Bytes.
    pub length: u64,
    /// Of all its bytes.
    pub sha256: Sha256,
}

/// Writes one file. Nobody can open the file before [`BlobWriter::finish`] has returned.
pub struct BlobWriter {
    sink: Sink,
    storage: Storage,
    file: PendingKind,
    touched: Instant,
    /// Whether every step so far was done to its end: none failed, none was cancelled half-way.
    sound: bool,
}

/// Bytes at a file's beginning that can be patched: less than the first chunk of GridFS, which waits.
pub const PATCHABLE: u64 = 252 << 10;

/// How often a writer renews its marker; the sweeper waits for ten minutes of silence.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

enum Sink {
    Mongo(mongo::Writer),
    Embedded(embedded::Writer),
}

impl BlobWriter {
    pub(crate) async fn new(storage: Storage, file: PendingKind) -> Result<Self, Error> {
        let name = Name::from(file);
        let sink = match &storage {
            Storage::Mongo(store) => Sink::Mongo(mongo::Writer::new(store.clone(), name)),
            Storage::Embedded(store) => Sink::Embedded(embedded::Writer::new(store, name).await?),
        };
        Ok(Self { sink, storage, file, touched: Instant::now(), sound: true })
    }

    /// Appends bytes. Returns when there is room for more, so a slow store slows its client down.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.begin()?;
        if self.touched.elapsed() > TOUCH_EVERY {
            self.storage.touch(self.file).await?;
            self.touched = Instant::now();
        }
        match &mut self.sink {
            Sink::Mongo(writer) => writer.append(bytes).await,
            Sink::Embedded(writer) => writer.append(bytes).await,
        }?;
        self.sound = true;
        Ok(())
    }

    /// Writes over bytes that were appended before, within the first [`PATCHABLE`]: an MP3's header
    /// is known only at its end.
    pub async fn patch(&mut self, offset: u64, bytes: Bytes) -> Result<(), Error> {
        self.begin()?;
        match &mut self.sink {
            Sink::Mongo(writer) => writer.patch(offset, &bytes),
            Sink::Embedded(writer) => writer.patch(offset, bytes).await,
        }?;
        self.sound = true;
        Ok(())
    }

    /// A file with a gap is never finished.
    fn begin(&mut self) -> Result<(), Error> {
        if mem::take(&mut self.sound) {
            Ok(())
        } else {
            Err(Error::Unavailable("an earlier write failed".to_owned()))
        }
    }

    /// Makes the file durable and visible under its name. Its marker stays until a record names it.
    ///
    /// # Errors
    /// Also when the sweeper took the writer for dead. After any error the file must be deleted with
    /// [`Storage::delete`]; the marker is best left to the sweeper.
    pub async fn finish(self) -> Result<Blob, Error> {
        self.end(None).await
    }

    /// As [`BlobWriter::finish`], with texts beside the file: whoever sees the file finds them.
    pub async fn finish_with(self, beside: &Beside) -> Result<Blob, Error> {
        self.end(Some(beside)).await
    }

    async fn end(mut self, beside: Option<&Beside>) -> Result<Blob, Error> {
        self.begin()?;
        match &mut self.sink {
            Sink::Mongo(writer) => writer.flush().await,
            Sink::Embedded(writer) => writer.flush().await,
        }?;
        // Between the bytes and the name: whoever sees the file knows that it has a marker. On
        // MongoDB this is also the write whose journal entry makes the chunks before it durable.
        let marked = match &self.storage {
            // The sweeper takes no marker that has been renewed so lately; looking is enough.
            Storage::Embedded(store) if self.touched.elapsed() < TOUCH_EVERY => {
                store.is_marked(Name::from(self.file)).await
            }
            storage => storage.touch(self.file).await,
        };
        if let Err(error) = marked {
            let _ = self.storage.delete(self.file).await;
            return Err(error);
        }
        match self.sink {
            Sink::Mongo(writer) => writer.commit(beside).await,
            Sink::Embedded(writer) => writer.commit(beside).await,
        }
    }

    /// Deletes what was written, and the marker; where a write has failed the marker stays, since the
    /// server may yet carry that write out.
    pub async fn discard(self) -> Result<(), Error> {
        // What is still being written must have ended first, or it would come after the deletion.
        let ended = match self.sink {
            Sink::Mongo(writer) => writer.close().await && self.sound,
            Sink::Embedded(writer) => writer.close().await,
        };
        self.storage.delete(self.file).await?;
        if ended {
            self.storage.forget(self.file).await?;
        }
        Ok(())
    }
}

/// Reads one finished file. Cheap to clone.
#[derive(Clone)]
pub struct BlobReader {
    source: Source,
    length: u64,
}

#[derive(Clone)]
enum Source {
    Mongo(mongo::Reader),
    Embedded(embedded::Reader),
}

/// What [`BlobReader::stream`] reads at a time.
const STREAM_STEP: usize = 1 << 20;
/// Steps that it reads at once: while one is sent, the next is fetched.
const STREAM_AHEAD: usize = 2;

impl BlobReader {
    pub(crate) async fn open(storage: &Storage, name: Name) -> Result<Self, Error> {
        let (source, length) = match storage {
            Storage::Mongo(store) => {
                let (reader, length) = mongo::Reader::open(store, name).await?;
                (Source::Mongo(reader), length)
            }
            Storage::Embedded(store) => {
                let (reader, length) = embedded::Reader::open(store, name).await?;
                (Source::Embedded(reader), length)
            }
        };
        Ok(Self { source, length })
    }

    pub(crate) const fn foreign(reader: mongo::Reader, length: u64) -> Self {
        Self { source: Source::Mongo(reader), length }
    }

    /// Bytes in all.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The `length` bytes from `offset`, or as many as there are before the end.
    pub async fn read_at(&self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let end = offset.saturating_add(length).min(self.length);
        if offset >= end {
            return Ok(Bytes::new());
        }
        match &self.source {
            Source::Mongo(reader) => reader.read(offset..end).await,
            Source::Embedded(reader) => reader.read(offset..end).await,
        }
    }

    /// The bytes of `range` in order, a MiB at a time.
    pub fn stream(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let end = range.end.min(self.length);
        let steps = (range.start..end).step_by(STREAM_STEP);
        let read = move |start| {
            let reader = self.clone();
            async move { reader.read_at(start, (end - start).min(STREAM_STEP as u64)).await }
        };
        stream::iter(steps).map(read).buffered(STREAM_AHEAD)
    }
}
