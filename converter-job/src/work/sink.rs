//! Where the MP3's bytes go.

use super::Error;
use bytes::Bytes;
use std::io::SeekFrom;
use storage::BlobWriter;
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
};

/// An MP3 that is being written.
pub(crate) enum Sink {
    /// Into storage.
    Blob(Box<BlobWriter>),
    /// Into a file that has no name of its own yet.
    File(File),
}

impl Sink {
    pub(super) async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Blob(writer) => Ok(writer.append(bytes).await?),
            Self::File(file) => Ok(file.write_all(&bytes).await?),
        }
    }

    /// Writes over bytes that were appended before.
    pub(super) async fn patch(&mut self, offset: u64, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Blob(writer) => Ok(writer.patch(offset, bytes).await?),
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset)).await?;
                file.write_all(&bytes).await?;
                file.seek(SeekFrom::End(0)).await?;
                Ok(())
            }
        }
    }
}
