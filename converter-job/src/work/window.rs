//! A window on the video that moves ahead of its reader: while one stretch is decoded, the next is
//! on its way from storage.

use super::{Error, source::Source};
use bytes::Bytes;
use tokio::task::JoinHandle;

/// The first stretch after a jump, and the furthest jump that passes for reading on.
const SMALLEST: usize = 64 << 10;
/// The longest stretch. Two of them are held.
const LARGEST: usize = 2 << 20;

/// Reads a source, guessing what is wanted next.
pub(super) struct Window {
    source: Source,
    start: u64,
    bytes: Bytes,
    /// What follows `bytes`, on its way.
    next: Option<Ahead>,
    step: usize,
}

/// Dropping it stops the reading.
struct Ahead(JoinHandle<Result<Bytes, Error>>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Window {
    pub(super) const fn new(source: Source) -> Self {
        Self { source, start: 0, bytes: Bytes::new(), next: None, step: SMALLEST }
    }

    /// The bytes from `offset`, fewer only at the end of the video.
    pub(super) async fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, Error> {
        let rest = self.source.length().saturating_sub(offset);
        let length = usize::try_from(rest).unwrap_or(length).min(length);
        if length == 0 {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.held(offset, length) {
            self.look_ahead(offset);
            return Ok(bytes);
        }
        self.advance(offset, length).await?;
        self.look_ahead(offset);
        self.held(offset, length).ok_or_else(|| {
            Error::Io(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the video is shorter than it was",
            ))
        })
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn held(&self, offset: u64, length: usize) -> Option<Bytes> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let end = at.checked_add(length)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(at..end))
    }

    /// Moves the window so that it holds the stretch, with the one on its way where that helps.
    async fn advance(&mut self, offset: u64, length: usize) -> Result<(), Error> {
        let on = (self.start..=self.end() + SMALLEST as u64).contains(&offset);
        self.step = if on { (self.step * 2).min(LARGEST) } else { SMALLEST };
        if let (true, Some(mut ahead)) = (on, self.next.take()) {
            let start = self.end();
            let bytes = (&mut ahead.0).await.map_err(std::io::Error::other)??;
            // A read that begins in the one and ends in the other needs the tail of the first.
            let tail = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
            let tail = self.bytes.slice(tail.min(self.bytes.len())..);
            self.start = start - tail.len() as u64;
            self.bytes = if tail.is_empty() { bytes } else { [tail, bytes].concat().into() };
            if self.held(offset, length).is_some() {
                return Ok(());
            }
        }
        self.next = None;
        self.bytes = self.source.read_at(offset, self.step.max(length)).await?;
        self.start = offset;
        Ok(())
    }

    /// Starts on the next stretch once the reader is well within this one.
    fn look_ahead(&mut self, offset: u64) {
        let end = self.end();
        let early = offset < self.start + self.bytes.len() as u64 / 4;
        if self.next.is_some() || early || self.step == SMALLEST || end >= self.source.length() {
            return;
        }
        let (source, step) = (self.source.clone(), self.step);
        self.next = Some(Ahead(tokio::spawn(async move { source.read_at(end, step).await })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{fs::File, io::Write, sync::Arc};

    fn source(bytes: &[u8]) -> Source {
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Source::File(Arc::new(file), bytes.len() as u64)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_read_gives_the_bytes_that_lie_there(
            reads in prop::collection::vec((0..6_000_000_u64, 0..1_000_000_usize, any::<bool>()), 1..40),
        ) {
            let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            runtime().block_on(async {
                let mut window = Window::new(source(&bytes));
                let mut follow = 0;
                for (offset, length, jump) in reads {
                    let offset = if jump { offset } else { follow };
                    let read = window.read(offset, length).await.unwrap();
                    let start = usize::try_from(offset).unwrap().min(bytes.len());
                    let end = (start + length).min(bytes.len());
                    assert!(read == bytes[start..end], "{length} bytes from {offset}");
                    follow = offset + length as u64;
                }
            });
        }
    }

    #[test]
    fn a_video_that_shrinks_is_an_error() {
        runtime().block_on(async {
            let file = tempfile::tempfile().unwrap();
            let mut window = Window::new(Source::File(Arc::new(file), 100));
            assert!(window.read(0, 100).await.is_err());
        });
    }
}
