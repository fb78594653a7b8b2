//! Where the video's bytes come from.

use super::Error;
use bytes::Bytes;
use std::{fs::File, os::unix::fs::FileExt, sync::Arc};
use storage::BlobReader;
use tokio::task::spawn_blocking;

/// A video. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Source {
    /// In storage.
    Blob(BlobReader),
    /// On this machine, with its length.
    File(Arc<File>, u64),
}

impl Source {
    pub(crate) const fn length(&self) -> u64 {
        match self {
            Self::Blob(reader) => reader.length(),
            Self::File(_, length) => *length,
        }
    }

    /// The bytes from `offset`, fewer only at the end.
    pub(super) async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        match self {
            Self::Blob(reader) => Ok(reader.read_at(offset, length as u64).await?),
            Self::File(file, _) => {
                let file = file.clone();
                let read = spawn_blocking(move || read_file(&file, offset, length)).await;
                Ok(read.map_err(std::io::Error::other)??)
            }
        }
    }
}

fn read_file(file: &File, offset: u64, length: usize) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; length];
    let mut held = 0;
    while held < length {
        match file.read_at(&mut bytes[held..], offset + held as u64) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(held);
    Ok(bytes.into())
}
