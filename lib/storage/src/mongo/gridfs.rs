//! Files as GridFS documents, readable by every GridFS client.
//!
//! The driver's own streams can neither seek nor write over the first chunk, so the chunks are
//! written and read here. The file document comes last, when all the chunks are there for good: a
//! file without one does not exist.

use super::{Mongo, bson, number};
use crate::{Beside, Blob, Error, blob::Name};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use mongodb::{
    Collection,
    bson::{
        Bson, DateTime, Document, RawBinaryRef, RawDocumentBuf, cstr, doc, oid::ObjectId, rawdoc,
        spec::BinarySubtype,
    },
    options::{Acknowledgment, WriteConcern},
};
use sha2::{Digest, Sha256};
use std::{mem, ops::Range};
use tokio::{sync::Semaphore, task::JoinHandle};

/// The size that GridFS clients use: 255 KiB.
const CHUNK: usize = 255 << 10;
/// Chunks in one insert: half a MiB is gathered while the one before is on its way.
const BATCH: usize = 2;
/// Inserts on their way at once, of all files of the process. The driver copies each: more of them
/// would take memory, and make no disk faster.
static INSERTS: Semaphore = Semaphore::const_new(4);

impl Mongo {
    pub(super) fn files(&self, name: Name) -> Collection<Document> {
        self.records(&format!("{}.files", name.place()))
    }

    fn chunks(&self, name: Name) -> Collection<RawDocumentBuf> {
        self.database.collection(&format!("{}.chunks", name.place()))
    }

    pub(crate) async fn delete(&self, name: Name) -> Result<(), Error> {
        // The document first: from then on nobody can open the file.
        self.files(name).delete_one(doc! { "_id": name.id() }).await?;
        self.chunks(name).delete_many(doc! { "files_id": name.id() }).await?;
        Ok(())
    }
}

pub(crate) struct Writer {
    store: Mongo,
    name: Name,
    /// The first chunk waits for `flush`, so that it can be patched until then.
    first: BytesMut,
    filling: BytesMut,
    full: Vec<RawDocumentBuf>,
    /// The batch on its way to the server while the next one is gathered.
    inserting: Option<JoinHandle<Result<(), Error>>>,
    /// Number of the chunk being filled.
    next: i32,
    length: u64,
    hash: Sha256,
    patched: bool,
}

impl Writer {
    pub(crate) fn new(store: Mongo, name: Name) -> Self {
        Self {
            store,
            name,
            first: BytesMut::new(),
            filling: BytesMut::with_capacity(CHUNK),
            full: Vec::new(),
            inserting: None,
            next: 1,
            length: 0,
            hash: Sha256::new(),
            patched: false,
        }
    }

    pub(crate) async fn append(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.hash.update(&bytes);
        self.length += bytes.len() as u64;
        let head = bytes.split_to(bytes.len().min(CHUNK - self.first.len()));
        self.first.extend_from_slice(&head);
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(CHUNK - self.filling.len()));
            self.filling.extend_from_slice(&part);
            if self.filling.len() == CHUNK {
                self.full.push(self.chunk(self.next, &self.filling));
                self.filling.clear();
                self.next += 1;
            }
            if self.full.len() == BATCH {
                self.insert_full().await?;
            }
        }
        Ok(())
    }

    pub(crate) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let place = usize::try_from(offset)
            .ok()
            .and_then(|start| self.first.get_mut(start..start + bytes.len()));
        let place = place
            .ok_or_else(|| Error::Corrupt("a patch reaches past the first chunk".to_owned()))?;
        place.copy_from_slice(bytes);
        self.patched = true;
        Ok(())
    }

    fn chunk(&self, n: i32, bytes: &[u8]) -> RawDocumentBuf {
        let data = RawBinaryRef { subtype: BinarySubtype::Generic, bytes };
        // With an `_id` of ours, since the driver would copy the whole chunk to put one before it.
        let mut document = rawdoc! { "_id": ObjectId::new(), "files_id": self.name.id(), "n": n };
        document.append(cstr!("data"), data);
        document
    }

    /// Sends the full chunks off, once those before them are in.
    async fn insert_full(&mut self) -> Result<(), Error> {
        self.settled().await?;
        if self.full.is_empty() {
            return Ok(());
        }
        // Never closed, so never an error.
        let turn = INSERTS.acquire().await;
        let (chunks, full) = (self.store.chunks(self.name), mem::take(&mut self.full));
        // Chunks need not be journaled one by one: the renewal of the marker is, after them.
        let quick = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
        self.inserting = Some(tokio::spawn(async move {
            let _turn = turn;
            chunks.insert_many(full).write_concern(quick).await?;
            Ok(())
        }));
        Ok(())
    }

    async fn settled(&mut self) -> Result<(), Error> {
        let Some(inserting) = &mut self.inserting else {
            return Ok(());
        };
        let inserted = inserting.await;
        self.inserting = None;
        inserted.map_err(|error| Error::Unavailable(error.to_string()))?
    }

    /// Brings all chunks to the server. What is journaled after it makes them durable.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        if !self.first.is_empty() {
            self.full.push(self.chunk(0, &self.first));
        }
        if !self.filling.is_empty() {
            self.full.push(self.chunk(self.next, &self.filling));
        }
        self.insert_full().await?;
        self.settled().await
    }

    /// Makes the flushed chunks a file, with the texts beside it in its one document.
    pub(crate) async fn commit(mut self, beside: Option<&Beside>) -> Result<Blob, Error> {
        self.check_count().await?;
        let digest = if self.patched {
            self.stored_hash().await?
        } else {
            mem::take(&mut self.hash).finalize()
        };
        let sha256 = domain::Sha256::from(<[u8; 32]>::from(digest));
        let mut metadata = doc! { "sha256": sha256.to_string() };
        if let Some(beside) = beside {
            metadata.insert("beside", bson(beside)?);
        }
        let file = doc! {
            "_id": self.name.id(),
            "length": self.length as i64,
            "chunkSize": CHUNK as i32,
            "uploadDate": DateTime::now(),
            "filename": self.name.id(),
            "metadata": metadata,
        };
        self.store.files(self.name).insert_one(file).await?;
        Ok(Blob { length: self.length, sha256 })
    }

    /// A server that died and came back in the middle of the upload has lost what was in no journal.
    async fn check_count(&self) -> Result<(), Error> {
        let stored = self
            .store
            .chunks(self.name)
            .count_documents(doc! { "files_id": self.name.id() })
            .await?;
        let expected = self.length.div_ceil(CHUNK as u64);
        if stored == expected {
            Ok(())
        } else {
            Err(Error::Unavailable(format!("the server kept {stored} of {expected} chunks")))
        }
    }

    async fn stored_hash(&self) -> Result<sha2::digest::Output<Sha256>, Error> {
        let reader = Reader {
            chunks: self.store.chunks(self.name),
            id: self.name.id().into(),
            chunk: CHUNK as u64,
        };
        let mut hash = Sha256::new();
        for start in (0..self.length).step_by(CHUNK * BATCH) {
            let end = self.length.min(start + (CHUNK * BATCH) as u64);
            hash.update(reader.read(start..end).await?);
        }
        Ok(hash.finalize())
    }

    /// Waits for the batch in flight. Whether nothing can come after it: a batch without an answer
    /// may still be carried out.
    pub(crate) async fn close(mut self) -> bool {
        self.settled().await.is_ok()
    }
}

#[derive(Clone)]
pub(crate) struct Reader {
    chunks: Collection<RawDocumentBuf>,
    id: Bson,
    chunk: u64,
}

impl Reader {
    pub(crate) async fn open(store: &Mongo, name: Name) -> Result<(Self, u64), Error> {
        // The texts beside it may be much longer than what is wanted.
        let (files, wanted) = (store.files(name), doc! { "length": 1, "chunkSize": 1 });
        let found = files.find_one(doc! { "_id": name.id() }).projection(wanted).await?;
        let file = found.ok_or(Error::NotFound)?;
        Self::of(&file, store.chunks(name))
    }

    /// Reads the file of this document; says its length too.
    pub(super) fn of(
        file: &Document,
        chunks: Collection<RawDocumentBuf>,
    ) -> Result<(Self, u64), Error> {
        let id = file.get("_id").cloned().unwrap_or_default();
        let size = |key| {
            number(file, key).ok_or_else(|| Error::Corrupt(format!("the file {id} has no {key}")))
        };
        let (length, chunk) = (size("length")?, size("chunkSize")?.max(1));
        Ok((Self { chunks, id, chunk }, length))
    }

    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let (first, last) = (range.start / self.chunk, (range.end - 1) / self.chunk);
        let wanted =
            doc! { "files_id": &self.id, "n": { "$gte": first as i64, "$lte": last as i64 } };
        let mut found = self.chunks.find(wanted).sort(doc! { "n": 1 }).await?;
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        for n in first..=last {
            let chunk = found.try_next().await?.ok_or_else(|| self.damaged(n))?;
            let data = chunk.get_binary("data").map_err(|_| self.damaged(n))?.bytes;
            let start = n * self.chunk;
            let from = range.start.saturating_sub(start) as usize;
            let to = (range.end - start).min(self.chunk) as usize;
            bytes.extend_from_slice(data.get(from..to).ok_or_else(|| self.damaged(n))?);
        }
        Ok(bytes.freeze())
    }

    fn damaged(&self, n: u64) -> Error {
        Error::Corrupt(format!("chunk {n} of {} is missing or short", self.id))
    }
}
