//! Ogg: pages, of which the last must be whole.

use crate::decoder::video::Video;

/// More than the largest page.
const TAIL: u64 = 128 << 10;
/// A page's header before the sizes of its segments.
const HEADER: usize = 27;

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let tail = video.stretch(video.length().saturating_sub(TAIL), TAIL)?;
    let last = tail.windows(5).rposition(|word| word == b"OggS\0")?;
    let page = &tail[last..];
    let segments = page.get(HEADER - 1).map_or(usize::MAX, |count| usize::from(*count));
    let sizes = page.get(HEADER..HEADER.saturating_add(segments));
    let size =
        sizes.map(|sizes| HEADER + segments + sizes.iter().map(|s| usize::from(*s)).sum::<usize>());
    let whole = size.is_some_and(|size| size <= page.len());
    (!whole).then(|| "its last page is cut off".to_owned())
}
