//! Where the video's bytes come from.

use super::Error;
use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    io::{Errno, pread},
};
use std::{fs::File, io, sync::Arc};
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
                Ok(read.map_err(io::Error::other)??)
            }
        }
    }
}

fn read_file(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < bytes.capacity() {
        let at = offset + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes.into())
}
