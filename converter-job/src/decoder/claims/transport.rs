//! MPEG transport streams: packets of one size, each with a mark at the same place.

use crate::decoder::video::Video;

const MARK: u8 = 0x47;
/// Bytes of a packet, and where in it the mark stands.
const GRIDS: [(u64, u64); 3] = [(188, 0), (192, 4), (204, 0)];
/// Packets whose mark is looked at, at either end.
const LOOKED_AT: u64 = 8;

pub(super) fn broken(video: &mut Video) -> Option<String> {
    let length = video.length();
    let mut marked = |at: u64| video.peek::<1>(at) == Some([MARK]);
    let (size, place) = GRIDS
        .into_iter()
        .find(|(size, place)| (0..LOOKED_AT).all(|packet| marked(packet * size + place)))?;
    let whole = length / size;
    let cut = length % size > place
        && (whole.saturating_sub(LOOKED_AT)..=whole).all(|packet| marked(packet * size + place));
    cut.then(|| "its last packet is cut off".to_owned())
}
