//! The MP3 on its way to the attempt: a tag, the header, and frame after frame as they come. The header
//! is filled in at the end, when the numbers in it are known.

use super::{
    Stop,
    header::{Header, Silence},
    layer3::Frame,
    link::Shared,
};
use crate::protocol::Request;
use std::{io, mem};

/// Bytes gathered before they are sent; an MP3 makes about 24 KiB for each second of sound.
const BATCH: usize = 64 << 10;

/// Writes the MP3 through the link.
pub(super) struct Mp3 {
    link: Shared,
    /// Bytes of the tag.
    tag: usize,
    batch: Vec<u8>,
    header: Option<Header>,
}

impl Mp3 {
    pub(super) const fn new(link: Shared, tag: Vec<u8>) -> Self {
        Self { link, tag: tag.len(), batch: tag, header: None }
    }

    /// Takes the next frame.
    pub(super) fn push(&mut self, frame: Frame, bytes: &[u8]) -> Result<(), Stop> {
        let header = match &mut self.header {
            Some(header) => header,
            None => {
                let header = self.header.insert(Header::of(frame));
                self.batch.resize(self.tag + header.length(), 0);
                header
            }
        };
        header.push(frame, bytes);
        self.batch.extend_from_slice(bytes);
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.send().map_err(broken)
    }

    fn send(&mut self) -> io::Result<()> {
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(2 * BATCH));
        self.link.send(&Request::Append(batch.into()))
    }

    /// Samples in all frames so far.
    pub(super) fn samples(&self) -> u64 {
        self.header.as_ref().map_or(0, Header::samples)
    }

    /// Completes the file. Without `silence` all samples are sound.
    pub(super) fn finish(mut self, silence: Option<Silence>) -> Result<(), Stop> {
        let Some(header) = self.header.take() else {
            return Err(Stop::Trouble("the MP3 has no frames".to_owned()));
        };
        if !self.batch.is_empty() {
            self.send().map_err(broken)?;
        }
        let bytes = header.encode(silence).into();
        self.link.send(&Request::Patch { offset: self.tag as u64, bytes }).map_err(broken)
    }
}

/// The link knows more about it.
fn broken(error: io::Error) -> Stop {
    Stop::Trouble(error.to_string())
}
