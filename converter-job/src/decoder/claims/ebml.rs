//! Matroska and WebM: a segment with a size, or, written live, clusters without one.

use super::{MOST_HEADERS, beyond};
use crate::decoder::video::Video;

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
/// What follows a cluster, and what stands in it. Anything else is junk.
const KNOWN: [u32; 17] = [
    CLUSTER,
    0x114d_9b74,
    0x1549_a966,
    0x1654_ae6b,
    0x1c53_bb6b,
    0x1254_c367,
    0x1043_a770,
    0x1941_a469,
    0xec,
    0xbf,
    0xe7,
    0xa7,
    0xab,
    0xa3,
    0xa0,
    0xaf,
    0x5854,
];
/// How far before the end the last cluster is looked for, and in which steps.
const FURTHEST: u64 = 16 << 20;
const STEP: u64 = 64 << 10;

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let length = video.length();
    let (_, size, at) = element(video, 0)?;
    let (id, size, at) = element(video, at.checked_add(size?)?)?;
    match size {
        _ if id != SEGMENT => None,
        Some(size) => beyond("segment", at, size, length),
        None => last_cluster(video).and_then(|at| walk(video, at)),
    }
}

/// An element's name, its size where it is known, and where its content begins.
fn element(video: &mut Video, at: u64) -> Option<(u32, Option<u64>, u64)> {
    let [first] = video.peek(at)?;
    let width = u64::from(first.leading_zeros()) + 1;
    let mut id = 0;
    for place in 0..width {
        id = id << 8 | u32::from(video.peek::<1>(at + place)?[0]);
    }
    let at = at + width;
    let [first] = video.peek(at)?;
    let width = u64::from(first.leading_zeros()) + 1;
    let mut size = u64::from(first) & 0xff_u64.checked_shr(u32::try_from(width).ok()?)?;
    for place in 1..width {
        size = size << 8 | u64::from(video.peek::<1>(at + place)?[0]);
    }
    let open = (1_u64 << (7 * width)) - 1;
    Some((id, Some(size).filter(|size| *size != open), at + width))
}

fn last_cluster(video: &mut Video) -> Option<u64> {
    let mut end = video.length();
    let least = end.saturating_sub(FURTHEST);
    while end > least {
        let start = end.saturating_sub(STEP);
        // The name may lie across two stretches.
        let stretch = video.stretch(start, STEP + 3)?;
        if let Some(at) = stretch.windows(4).rposition(|word| word == CLUSTER.to_be_bytes()) {
            return Some(start + at as u64);
        }
        end = start;
    }
    None
}

/// Goes over the elements up to the end of the file.
fn walk(video: &mut Video, mut at: u64) -> Option<String> {
    let length = video.length();
    for _ in 0..MOST_HEADERS {
        let (id, size, content) = element(video, at)?;
        if !KNOWN.contains(&id) {
            return None;
        }
        // A cluster without a size is gone into.
        let size = size.or_else(|| (id == CLUSTER).then_some(0))?;
        if let Some(found) = beyond("last cluster", content, size, length) {
            return Some(found);
        }
        at = content + size;
    }
    None
}
