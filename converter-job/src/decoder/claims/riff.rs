//! WAV and AVI: chunks with sizes, in one or more forms with a size.

use super::{MOST_HEADERS, beyond};
use crate::decoder::video::Video;

/// From here on a size means "not known yet": what programs write that cannot go back.
const OPEN: u64 = 0x7fff_0000;
/// Bytes by which careless programs count too many: the form's own header.
const SLACK: u64 = 8;

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let (length, mut at) = (video.length(), 0);
    // The end of the form, and the size that its data chunk has where 32 bits are too few.
    let (mut form, mut large) = (0, None);
    for _ in 0..MOST_HEADERS {
        let Some([kind @ .., a, b, c, d]) = video.peek::<8>(at) else { break };
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        let size = if &kind == b"data" { large.unwrap_or(size) } else { size };
        match &kind {
            b"RIFF" | b"RF64" if at >= form => {
                let inside: [u8; 4] = video.peek(at + 8)?;
                if !matches!(&inside, b"WAVE" | b"AVI " | b"AVIX") {
                    break;
                }
                let open = size >= OPEN || size == 0;
                form = if open { u64::MAX } else { at + 8 + size };
                if !open && form > length + SLACK {
                    return beyond("RIFF form", at + 8, size, length);
                }
                at += 12;
                continue;
            }
            b"ds64" => {
                let size = u64::from_le_bytes(video.peek(at + 16)?);
                large = Some(size).filter(|size| (1..u64::MAX / 2).contains(size));
            }
            _ if at >= form || !kind.iter().all(|byte| (b' '..=b'~').contains(byte)) => break,
            // Nobody has come back to say how large it is.
            _ if size == 0 || (size >= OPEN && large.is_none()) => break,
            _ => {}
        }
        if let Some(found) = beyond(&String::from_utf8_lossy(&kind), at + 8, size, length) {
            return Some(found);
        }
        if large.is_some() && &kind == b"data" {
            // The form's own size has gone with it: what follows may be junk.
            break;
        }
        at = (at + 8).saturating_add(size).saturating_add(size % 2);
    }
    None
}
