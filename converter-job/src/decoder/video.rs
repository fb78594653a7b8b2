//! The video as something that reads and seeks: blocks fetched from the attempt.
//!
//! A reader that goes on in order finds its next block in the pipe: it was asked for while the one
//! before was being decoded.

use super::link::Shared;
use std::io::{self, Read, Seek, SeekFrom};

/// The first block after a jump. Interleaved files jump over their pictures all the time: what lies
/// between is read along only where it is no more than this.
const SMALLEST: u32 = 64 << 10;
/// The largest block, reached by reading on in order: a round trip for each costs nothing then.
const LARGEST: u32 = 512 << 10;

/// Reads the video through the link.
pub(super) struct Video {
    link: Shared,
    length: u64,
    position: u64,
    /// Where `block` lies in the video.
    start: u64,
    block: Vec<u8>,
    step: u32,
    /// Where the block lies that has been asked for and not been received.
    ahead: Option<u64>,
    /// The largest answer that the pipe holds while nobody reads it.
    room: u32,
}

impl Video {
    pub(super) fn new(link: Shared, length: u64) -> Self {
        // Half, for pages that are not filled. A larger answer would leave the attempt writing and
        // not reading, while the decoder does the same.
        let room = link.room() / 2;
        Self {
            link,
            length,
            position: 0,
            start: 0,
            block: Vec::new(),
            step: SMALLEST,
            ahead: None,
            room,
        }
    }

    /// Bytes in all.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Has the video end at an earlier byte for whoever reads it.
    pub(super) fn shorten(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// What the block holds from the position on. It may hold more than is left of the video: it was
    /// fetched before that was shortened.
    fn held(&self) -> &[u8] {
        let within = self.position.checked_sub(self.start);
        let within = within.and_then(|at| usize::try_from(at).ok());
        let held = within.and_then(|at| self.block.get(at..)).unwrap_or_default();
        let rest = self.length.saturating_sub(self.position);
        &held[..usize::try_from(rest).map_or(held.len(), |rest| rest.min(held.len()))]
    }

    fn end(&self) -> u64 {
        self.start + self.block.len() as u64
    }

    fn fetch(&mut self) -> io::Result<()> {
        let near = (self.start..=self.end() + u64::from(SMALLEST)).contains(&self.position);
        self.step = if near { (self.step * 2).min(LARGEST) } else { SMALLEST };
        if let Some(start) = self.ahead.take() {
            self.start = start;
            self.link.receive(LARGEST, &mut self.block)?;
        }
        if self.held().is_empty() {
            self.start = self.position;
            self.link.ask(self.position, self.step)?;
            self.link.receive(self.step, &mut self.block)?;
        }
        let end = self.end();
        self.link.reached(end);
        if near && self.step <= self.room && end < self.length {
            self.link.ask(end, self.step)?;
            self.ahead = Some(end);
        }
        Ok(())
    }
}

/// An answer that is still to come would be taken for the next one's.
impl Drop for Video {
    fn drop(&mut self) {
        if self.ahead.is_some() {
            // A broken pipe shows in the link.
            let _ = self.link.receive(LARGEST, &mut self.block);
        }
    }
}

impl Read for Video {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length {
            return Ok(0);
        }
        if self.held().is_empty() {
            self.fetch()?;
        }
        let held = self.held();
        if held.is_empty() {
            return self.link.fail(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = held.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&held[..taken]);
        self.position += taken as u64;
        Ok(taken)
    }
}

impl Seek for Video {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
