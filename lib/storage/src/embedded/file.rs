//! Files in the data folder. A file is written as `NAME.part` and renamed when it is complete and
//! on the disk, so a name without `.part` is always a whole file. The texts beside it are in
//! `NAME.json`, which is there before the file has its name and goes when the file goes.

use super::{Embedded, beside};
use crate::{Beside, Blob, Error, blob::Name};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    mem,
    ops::Range,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes gathered before they are written and hashed in one go. One such batch is on its way to the
/// disk while the next one is gathered: half a MiB an upload in all. Both fit into a core's cache;
/// with batches of 2 MiB, which do not, a GiB takes twice as long.
const BATCH: usize = 256 << 10;

impl Embedded {
    pub(super) fn path(&self, name: Name) -> PathBuf {
        self.folder.join(name.place()).join(name.id())
    }

    pub(crate) async fn delete(&self, name: Name) -> Result<(), Error> {
        let whole = self.path(name);
        run(move || {
            // In this order, since a `commit` under way turns the first into the second, and takes the
            // third back where it finds no first.
            for path in [&part_of(&whole), &whole, &beside::place(&whole)] {
                remove(path)?;
            }
            // Before the marker goes, or a power cut could bring back a file that has none.
            sync_folder_of(&whole)
        })
        .await
    }
}

fn part_of(whole: &Path) -> PathBuf {
    whole.with_extension("part")
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|error| Error::Unavailable(error.to_string()))?
}

pub(crate) struct Writer {
    whole: PathBuf,
    batch: Vec<u8>,
    /// The part file, or the batch that is being written to it.
    part: Part,
}

enum Part {
    Idle(Output),
    Busy(JoinHandle<Result<Output, Error>>),
    Failed,
}

struct Output {
    file: File,
    hash: Sha256,
    length: u64,
    patched: bool,
    /// The memory of the batch before, for the next.
    spare: Vec<u8>,
}

impl Writer {
    pub(crate) async fn new(store: &Embedded, name: Name) -> Result<Self, Error> {
        let whole = store.path(name);
        let part = part_of(&whole);
        let file = run(move || Ok(create(&part)?));
        let output = Output {
            file: file.await?,
            hash: Sha256::new(),
            length: 0,
            patched: false,
            spare: Vec::with_capacity(BATCH),
        };
        Ok(Self { whole, batch: Vec::with_capacity(BATCH), part: Part::Idle(output) })
    }

    pub(crate) async fn append(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        // Copied, since a few bytes of a network buffer would hold all of it.
        while !bytes.is_empty() {
            let room = BATCH - self.batch.len();
            let part = bytes.split_to(bytes.len().min(room));
            self.batch.extend_from_slice(&part);
            if self.batch.len() == BATCH {
                self.write_batch().await?;
            }
        }
        Ok(())
    }

    async fn write_batch(&mut self) -> Result<(), Error> {
        let mut output = self.settled().await?;
        let batch = mem::replace(&mut self.batch, mem::take(&mut output.spare));
        self.part = Part::Busy(spawn_blocking(move || output.write(batch)));
        Ok(())
    }

    /// The file, once nothing is being written to it. After an error there is none any more.
    async fn settled(&mut self) -> Result<Output, Error> {
        match mem::replace(&mut self.part, Part::Failed) {
            Part::Idle(output) => Ok(output),
            Part::Busy(writing) => {
                writing.await.map_err(|error| Error::Unavailable(error.to_string()))?
            }
            Part::Failed => Err(Error::Unavailable("an earlier write failed".to_owned())),
        }
    }

    pub(crate) async fn patch(&mut self, offset: u64, bytes: Bytes) -> Result<(), Error> {
        self.write_batch().await?;
        let mut output = self.settled().await?;
        if offset + bytes.len() as u64 > output.length {
            return Err(Error::Corrupt("a patch reaches past the end".to_owned()));
        }
        let output = run(move || {
            output.file.write_all_at(&bytes, offset)?;
            output.patched = true;
            Ok(output)
        });
        self.part = Part::Idle(output.await?);
        Ok(())
    }

    /// Brings all bytes to the disk.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.write_batch().await?;
        let output = self.settled().await?;
        let output = run(move || {
            output.file.sync_all()?;
            Ok(output)
        });
        self.part = Part::Idle(output.await?);
        Ok(())
    }

    /// Gives the flushed file its name, and the texts a place beside it.
    pub(crate) async fn commit(mut self, texts: Option<&Beside>) -> Result<Blob, Error> {
        let output = self.settled().await?;
        let texts = texts.map(beside::text_of).transpose()?;
        run(move || output.commit(&self.whole, texts.as_deref())).await
    }

    /// Waits for the write in flight. What a cancelled call has left goes to a file that the deletion
    /// takes away under it, so nothing can come after.
    pub(crate) async fn close(mut self) -> bool {
        let _ = self.settled().await;
        true
    }
}

impl Output {
    fn write(mut self, mut batch: Vec<u8>) -> Result<Self, Error> {
        self.file.write_all(&batch)?;
        self.hash.update(&batch);
        self.length += batch.len() as u64;
        batch.clear();
        self.spare = batch;
        Ok(self)
    }

    fn commit(self, whole: &Path, texts: Option<&[u8]>) -> Result<Blob, Error> {
        let digest = if self.patched { hash_of(&part_of(whole))? } else { self.hash.finalize() };
        if let Some(texts) = texts {
            beside::write(whole, texts)?;
        }
        if let Err(error) = fs::rename(part_of(whole), whole) {
            // It has been deleted meanwhile, and nobody would delete what came after that.
            remove(&beside::place(whole))?;
            return Err(error.into());
        }
        sync_folder_of(whole)?;
        Ok(Blob { length: self.length, sha256: <[u8; 32]>::from(digest).into() })
    }
}

/// A new file, or an old one without its bytes.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}

/// Makes what was named or removed in the folder of this file survive a power cut.
fn sync_folder_of(file: &Path) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn hash_of(path: &Path) -> Result<sha2::digest::Output<Sha256>, Error> {
    let (mut file, mut hash, mut block) = (File::open(path)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize()),
            read => hash.update(&block[..read]),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Reader {
    file: Arc<File>,
}

impl Reader {
    pub(crate) async fn open(store: &Embedded, name: Name) -> Result<(Self, u64), Error> {
        let whole = store.path(name);
        run(move || {
            let file = File::open(whole)?;
            let length = file.metadata()?.len();
            Ok((Self { file: Arc::new(file) }, length))
        })
        .await
    }

    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let file = self.file.clone();
        run(move || {
            let length = usize::try_from(range.end - range.start)
                .map_err(|error| Error::Corrupt(error.to_string()))?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.into())
        })
        .await
    }
}
