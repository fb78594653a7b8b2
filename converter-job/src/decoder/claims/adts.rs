//! AAC in ADTS frames, each with its size, of which the last must be whole.

use crate::decoder::video::Video;

/// Several of the largest frames.
const TAIL: u64 = 64 << 10;
const HEADER: usize = 7;
/// Frames in a row that are no accident.
const CHAIN: u32 = 4;

/// Looks at frames that begin like the one at `start`.
pub(super) fn broken(video: &mut Video, start: u64) -> Option<String> {
    let like = video.peek::<3>(start)?;
    let tail = video.stretch(video.length().saturating_sub(TAIL).max(start), TAIL)?;
    // One frame's size; only what begins alike is one.
    let size = |at: usize| match tail.get(at..)? {
        [a, b, c, d, e, f, ..] if [*a, *b, *c] == like => {
            let [d, e, f] = [d, e, f].map(|byte| usize::from(*byte));
            Some((d & 3) << 11 | e << 3 | f >> 5).filter(|size| *size >= HEADER)
        }
        rest => {
            (!rest.is_empty() && like.starts_with(&rest[..rest.len().min(3)])).then_some(HEADER)
        }
    };
    (0..tail.len()).find_map(|first| {
        let (mut at, mut frames) = (first, 0);
        while let Some(size) = size(at) {
            at += size;
            frames += 1;
        }
        let cut = at > tail.len();
        (frames >= CHAIN).then(|| cut.then(|| "its last frame is cut off".to_owned()))
    })?
}
