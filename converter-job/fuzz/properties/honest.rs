//! Files that are what they say, and how many of their last bytes belong to something with a size.

use crate::choices::Choices;

/// A file's bytes, and where its last part begins: one that ends within it is told to be cut off.
pub(crate) struct Honest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) last: usize,
}

pub(crate) fn of(choices: &mut Choices<'_>) -> Honest {
    match choices.byte() % 7 {
        0 => boxes(choices),
        1 => riff(choices),
        2 => matroska(choices),
        3 => ogg(choices),
        4 => adts(choices),
        5 => tagged(choices),
        _ => transport(choices),
    }
}

/// Contents that look like nothing of the kind.
fn filling(length: usize) -> Vec<u8> {
    vec![0x55; length]
}

fn boxes(choices: &mut Choices<'_>) -> Honest {
    let mut bytes = b"\0\0\0\x10ftypisom\0\0\0\0".to_vec();
    let mut last = 0;
    let mut kinds: Vec<&[u8; 4]> = vec![b"moov", b"mdat"];
    for _ in 0..choices.byte() % 5 {
        kinds.insert(choices.below(kinds.len()), [b"free", b"moof", b"mdat"][choices.below(3)]);
    }
    for kind in kinds {
        last = bytes.len();
        let content = filling(choices.size(16));
        if choices.byte().is_multiple_of(4) {
            bytes.extend(1_u32.to_be_bytes());
            bytes.extend(kind);
            bytes.extend((16 + content.len() as u64).to_be_bytes());
        } else {
            bytes.extend((8 + content.len() as u32).to_be_bytes());
            bytes.extend(kind);
        }
        bytes.extend(content);
    }
    // The head of a box has to be there for its size to be known.
    Honest { bytes, last: last + 16 }
}

fn riff(choices: &mut Choices<'_>) -> Honest {
    let mut form = [b"WAVE", b"AVI "][choices.below(2)].to_vec();
    let (chunks, mut last) = (1 + choices.byte() % 5, 0);
    for chunk in 1..=chunks {
        last = form.len();
        let size = 1 + choices.size(16);
        // A byte that only fills up is no loss.
        let size = if chunk == chunks { size.next_multiple_of(2) } else { size };
        form.extend([b"fmt ", b"data", b"LIST"][choices.below(3)]);
        form.extend((size as u32).to_le_bytes());
        form.extend(filling(size));
        form.resize(form.len().next_multiple_of(2), 0);
    }
    let bytes = [b"RIFF", &(form.len() as u32).to_le_bytes()[..], &form].concat();
    // A form may promise a few bytes too many, a chunk may not.
    Honest { bytes, last: 8 + last + 8 }
}

fn matroska(choices: &mut Choices<'_>) -> Honest {
    let element = |id: &[u8], size: Option<usize>, content: &[u8]| {
        let size = size.map_or(u64::MAX >> 8, |size| size as u64) | 1 << 56;
        [id, &size.to_be_bytes(), content].concat()
    };
    let head = filling(choices.size(8));
    let mut bytes = element(b"\x1a\x45\xdf\xa3", Some(head.len()), &head);
    let mut clusters = Vec::new();
    for _ in 0..1 + choices.byte() % 4 {
        let block = filling(1 + choices.size(16));
        let block = element(b"\xa3", Some(block.len()), &block);
        let size = Some(block.len()).filter(|_| choices.byte() % 2 == 1);
        clusters.push(element(b"\x1f\x43\xb6\x75", size, &block));
    }
    let whole = clusters.concat();
    let size = Some(whole.len()).filter(|_| choices.byte() % 2 == 1);
    bytes.extend(element(b"\x18\x53\x80\x67", size, &whole));
    let last = clusters.last().map_or(0, Vec::len);
    // Both heads of the last cluster have to be there.
    Honest { last: bytes.len() - last + 21, bytes }
}

fn ogg(choices: &mut Choices<'_>) -> Honest {
    let (mut bytes, mut last) = (Vec::new(), 0);
    for _ in 0..1 + choices.byte() % 5 {
        last = bytes.len();
        let count = 1 + choices.byte() % 20;
        let sizes = choices.bytes(count.into());
        bytes.extend(b"OggS\0");
        bytes.extend([0; 21]);
        bytes.push(sizes.len() as u8);
        bytes.extend(sizes);
        bytes.extend(filling(sizes.iter().map(|size| usize::from(*size)).sum()));
    }
    // Fewer than 12 bytes are looked at by nobody.
    Honest { bytes, last: (last + 5).max(12) }
}

fn adts(choices: &mut Choices<'_>) -> Honest {
    let (mut bytes, mut last) = (Vec::new(), 0);
    // So many before the last that the last is no accident.
    for _ in 0..5 + choices.byte() % 20 {
        last = bytes.len();
        let size = 7 + choices.size(12);
        let [high, middle, low] = [size >> 11 & 3, size >> 3 & 0xff, size << 5 & 0xe0];
        bytes.extend([0xff, 0xf1, 0x50, 0x80 | high as u8, middle as u8, low as u8, 0xfc]);
        bytes.extend(filling(size - 7));
    }
    Honest { bytes, last: last + 7 }
}

fn tagged(choices: &mut Choices<'_>) -> Honest {
    let mut bytes = Vec::new();
    if choices.byte() % 2 == 1 {
        let tag = filling(choices.size(16));
        let size = [21, 14, 7, 0].map(|shift| (tag.len() >> shift & 0x7f) as u8);
        bytes = [b"ID3\x03\0\0", &size[..], &tag].concat();
    }
    let start = bytes.len();
    // MPEG 1 or 2, in stereo or mono.
    let (second, fourth) = ([0xfb, 0xf3][choices.below(2)], [0x64, 0xc4][choices.below(2)]);
    let side = match (second, fourth) {
        (0xfb, 0x64) => 32,
        (0xf3, 0xc4) => 9,
        _ => 17,
    };
    bytes.extend([0xff, second, 0x90, fourth]);
    bytes.extend(vec![0; side]);
    bytes.extend(b"Xing\0\0\0\x03\0\0\0\x09");
    let rest = filling(choices.size(16));
    // So many bytes may be missing, and no more: a tag at the end that is there no more.
    let sound = bytes.len() + 4 + rest.len() - start + 128;
    bytes.extend((sound as u32).to_be_bytes());
    let last = bytes.len();
    bytes.extend(rest);
    Honest { bytes, last }
}

fn transport(choices: &mut Choices<'_>) -> Honest {
    let (size, place) = [(188, 0), (192, 4), (204, 0)][choices.below(3)];
    let mut bytes = Vec::new();
    for _ in 0..9 + choices.byte() % 20 {
        let mut packet = filling(size);
        packet[place] = 0x47;
        bytes.extend(packet);
    }
    Honest { last: bytes.len() - size + place + 1, bytes }
}
