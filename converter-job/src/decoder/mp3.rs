//! The MP3 as something that writes and seeks: its bytes go to the attempt as they come, and its
//! header is patched at the end, when the numbers in it are known. Whoever writes sees nothing of the
//! tag that goes before.

use super::link::Shared;
use crate::protocol::Request;
use std::io::{self, Seek, SeekFrom, Write};

/// Bytes gathered before they are sent; an MP3 makes about 24 KiB for each second of sound.
const BATCH: usize = 64 << 10;

/// Writes the MP3 through the link.
pub(super) struct Mp3 {
    link: Shared,
    batch: Vec<u8>,
    /// Bytes of the tag before.
    tag: u64,
    position: u64,
    /// Bytes behind the tag, those in `batch` included.
    length: u64,
}

impl Mp3 {
    pub(super) fn new(link: Shared, tag: Vec<u8>) -> Self {
        Self { link, tag: tag.len() as u64, batch: tag, position: 0, length: 0 }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(BATCH)];
        self.batch.extend_from_slice(taken);
        self.length += taken.len() as u64;
        if self.batch.len() >= BATCH {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn patch(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let room = usize::try_from(self.length - self.position).unwrap_or(BATCH);
        let taken = &bytes[..bytes.len().min(room).min(BATCH)];
        let bytes = taken.to_vec().into();
        self.link.send(&Request::Patch { offset: self.tag + self.position, bytes })?;
        Ok(taken.len())
    }
}

impl Write for Mp3 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let taken =
            if self.position < self.length { self.patch(bytes)? } else { self.append(bytes)? };
        self.position += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(2 * BATCH));
        self.link.send(&Request::Append(batch.into()))
    }
}

impl Seek for Mp3 {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        // A gap would have to be filled with zeros; the muxer never makes one.
        let within = position.filter(|position| *position <= self.length);
        self.position = within.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
