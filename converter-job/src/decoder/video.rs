//! The video as something that reads and seeks: blocks fetched from the attempt.

use super::link::Shared;
use std::io::{self, Read, Seek, SeekFrom};

/// The first block after a jump. Interleaved files jump over their pictures all the time.
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
}

impl Video {
    pub(super) fn new(link: Shared, length: u64) -> Self {
        Self { link, length, position: 0, start: 0, block: Vec::new(), step: SMALLEST }
    }

    /// What the block holds from the position on.
    fn held(&self) -> &[u8] {
        let within = self.position.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        within.and_then(|at| self.block.get(at..)).unwrap_or_default()
    }

    fn fetch(&mut self) -> io::Result<()> {
        let in_order = self.position == self.start + self.block.len() as u64;
        self.step = if in_order { (self.step * 2).min(LARGEST) } else { SMALLEST };
        self.start = self.position;
        self.link.read(self.position, self.step, &mut self.block)
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
