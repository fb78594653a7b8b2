//! What a file says of its own length, held against the bytes that there are.
//!
//! Looked up before anything is decoded, by reading a few headers and no sound. An honest file must
//! never be called cut off: what is unknown, open-ended or mere junk behind the end claims nothing.

mod adts;
mod boxes;
mod ebml;
mod foreign;
mod ogg;
mod riff;
mod tagged;
mod transport;

use super::video::Video;
use std::io::{Read, Seek, SeekFrom};

/// Headers that are looked at in one file, so that no file can keep us here.
const MOST_HEADERS: usize = 1 << 16;

/// In what way the file ends before its own end says; `None` where it does not, or nobody can know.
pub(super) fn broken(video: &mut Video) -> Option<String> {
    let head = video.peek::<12>(0)?;
    let found = match &head {
        [b'R', b'I', b'F', b'F', ..] | [b'R', b'F', b'6', b'4', ..] => riff::broken(video),
        [b'O', b'g', b'g', b'S', ..] => ogg::broken(video),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ebml::broken(video),
        [_, _, _, _, kind @ .., _, _, _, _] if boxes::KNOWN.contains(kind) => boxes::broken(video),
        [b'I', b'D', b'3', ..] | [0xff, 0xe0..=0xff, ..] => tagged::broken(video),
        _ => transport::broken(video),
    };
    video.rewind().ok()?;
    found
}

/// What a file is, where it is known to be none that can be converted.
pub(super) fn foreign(video: &mut Video) -> Option<&'static str> {
    let head = video.stretch(0, 16);
    video.rewind().ok()?;
    foreign::kind(&head?)
}

/// Something at `start` says that it has so many bytes.
fn beyond(what: &str, start: u64, size: u64, length: u64) -> Option<String> {
    let end = start.saturating_add(size);
    (end > length).then(|| format!("its {what} ends at byte {end} of {length}"))
}

impl Video {
    /// The bytes at a place; `None` where the file has no such.
    fn peek<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (at.checked_add(N as u64)? <= self.length()).then_some(())?;
        self.seek(SeekFrom::Start(at)).ok()?;
        self.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Up to `most` bytes at a place.
    fn stretch(&mut self, at: u64, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(at)).ok()?;
        self.by_ref().take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
