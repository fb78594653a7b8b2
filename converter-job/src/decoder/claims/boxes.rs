//! MP4 and MOV: a chain of boxes, each with its size; the index may stand at either end.

use super::{MOST_HEADERS, beyond};
use crate::decoder::video::Video;

/// What stands at the top of a file. Anything else is junk behind its end.
pub(super) const KNOWN: [[u8; 4]; 18] = [
    *b"ftyp", *b"styp", *b"moov", *b"moof", *b"mdat", *b"free", *b"skip", *b"wide", *b"pnot",
    *b"PICT", *b"udta", *b"uuid", *b"meta", *b"mfra", *b"sidx", *b"ssix", *b"prft", *b"emsg",
];

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let (length, mut at) = (video.length(), 0);
    let (mut index, mut media) = (false, false);
    for _ in 0..MOST_HEADERS {
        let Some([a, b, c, d, kind @ ..]) = video.peek::<8>(at) else { break };
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at,
            1 => u64::from_be_bytes(video.peek(at + 8)?),
            size => size.into(),
        };
        if size < 8 || !KNOWN.contains(&kind) {
            break;
        }
        index |= matches!(&kind, b"moov" | b"moof");
        media |= &kind == b"mdat";
        if let Some(found) = beyond(&String::from_utf8_lossy(&kind), at, size, length) {
            if &kind == b"moof" {
                // Half an index of a fragment would make the fragments before it unreadable.
                video.shorten(at);
            }
            return Some(found);
        }
        at += size;
    }
    (media && !index).then(|| "its index (moov) is missing".to_owned())
}
