//! Streams of frames, perhaps behind a tag. Of an MP3 the first may tell how many bytes there are.

use super::adts;
use crate::decoder::video::Video;

/// Bytes by which the number may be wrong: a tag at the end that was counted in and taken off since.
const SLACK: u64 = 128;

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let length = video.length();
    let start = match video.peek::<10>(0)? {
        // Seven bits a byte, without the tag's own header.
        [b'I', b'D', b'3', _, _, _, size @ ..] => {
            10 + size.iter().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f))
        }
        _ => 0,
    };
    let [sync, second, _, fourth] = video.peek(start)?;
    if sync == 0xff && second & 0xf6 == 0xf0 {
        return adts::broken(video, start);
    }
    if sync != 0xff || second & 0xe6 != 0xe2 {
        return None;
    }
    let (mpeg1, mono) = (second & 0x08 != 0, fourth >> 6 == 3);
    let side = match (mpeg1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let [a, b, c, d, .., flags] = video.peek::<8>(start + 4 + side)?;
    // Both the number of frames and the number of bytes are there.
    if !matches!(&[a, b, c, d], b"Xing" | b"Info") || flags & 3 != 3 {
        return None;
    }
    let bytes = u64::from(u32::from_be_bytes(video.peek(start + 4 + side + 12)?));
    let end = start + bytes;
    (end > length + SLACK).then(|| format!("its sound ends at byte {end} of {length}"))
}
