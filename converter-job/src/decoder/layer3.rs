//! Frames of MPEG audio layer III, as their four-byte headers describe them.

/// Kilobits a second by the header's index, of MPEG-1 and of the half and quarter rates.
const FULL: [u16; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LOWER: [u16; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Samples a second by the header's index, of MPEG-1.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];
/// Bytes of a header.
pub(super) const HEADER: usize = 4;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame([u8; HEADER]);

impl Frame {
    /// The frame that begins with these bytes, if one does. A bit rate that the header does not tell
    /// is none.
    pub(super) fn at(bytes: &[u8]) -> Option<Self> {
        let header = *bytes.first_chunk::<HEADER>()?;
        let [sync, kind, shape, _] = header;
        let is_layer3 = sync == 0xff && kind & 0xe6 == 0xe2 && kind & 0x18 != 0x08;
        let has_rates = (0x10..0xf0).contains(&shape) && shape & 0x0c != 0x0c;
        (is_layer3 && has_rates).then_some(Self(header))
    }

    /// Whether it is MPEG-1, and not of half or a quarter of its rates.
    const fn is_full(self) -> bool {
        self.0[1] & 0x18 == 0x18
    }

    /// Kilobits a second.
    pub(super) fn kilobits(self) -> u16 {
        let index = usize::from(self.0[2] >> 4) - 1;
        if self.is_full() { FULL[index] } else { LOWER[index] }
    }

    /// Samples a second.
    pub(super) const fn rate(self) -> u32 {
        let rate = RATES[(self.0[2] >> 2 & 3) as usize];
        match self.0[1] & 0x18 {
            0x18 => rate,
            0x10 => rate / 2,
            _ => rate / 4,
        }
    }

    /// Samples of each channel.
    pub(super) const fn samples(self) -> u64 {
        if self.is_full() { 1152 } else { 576 }
    }

    /// 1 or 2.
    pub(super) const fn channels(self) -> u8 {
        if self.0[3] & 0xc0 == 0xc0 { 1 } else { 2 }
    }

    /// Bytes of all of it.
    pub(super) fn length(self) -> usize {
        let bits = self.samples() * u64::from(self.kilobits()) * 1000;
        let padding = u64::from(self.0[2] >> 1 & 1);
        (bits / 8 / u64::from(self.rate()) + padding) as usize
    }

    /// Bytes between header and sound of a frame without a checksum.
    pub(super) const fn side(self) -> usize {
        match (self.is_full(), self.channels()) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            _ => 9,
        }
    }

    /// Whether both can follow one another in one file.
    pub(super) const fn is_like(self, other: Self) -> bool {
        self.rate() == other.rate() && self.channels() == other.channels()
    }

    /// The shortest frame like it that has room for so many bytes behind its side information, without
    /// checksum and padding.
    pub(super) fn with_room(self, bytes: usize) -> Self {
        let [sync, kind, shape, mode] = self.0;
        let of = |index: u8| Self([sync, kind | 1, index << 4 | shape & 0x0c, mode]);
        let fits = |frame: &Self| frame.length() >= HEADER + frame.side() + bytes;
        (1..15).map(of).find(fits).unwrap_or(of(14))
    }

    pub(super) const fn bytes(self) -> [u8; HEADER] {
        self.0
    }
}

/// The whole frames in these bytes, one behind the other; what is none is passed over.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (Frame, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let found = Frame::at(bytes)
                .and_then(|frame| Some((frame, bytes.split_at_checked(frame.length())?)));
            if let Some((frame, (whole, rest))) = found {
                bytes = rest;
                return Some((frame, whole));
            }
            bytes = bytes.get(1..)?;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_tells_what_the_frame_is() {
        let frame = Frame::at(&[0xff, 0xfb, 0x90, 0x44]).unwrap();
        assert_eq!((frame.kilobits(), frame.rate(), frame.channels()), (128, 44_100, 2));
        assert_eq!((frame.samples(), frame.length(), frame.side()), (1152, 417, 32));
        let padded = Frame::at(&[0xff, 0xfb, 0x92, 0x44]).unwrap();
        assert_eq!(padded.length(), 418);
        let voice = Frame::at(&[0xff, 0xf3, 0x84, 0xc4]).unwrap();
        assert_eq!((voice.kilobits(), voice.rate(), voice.channels()), (64, 24_000, 1));
        assert_eq!((voice.samples(), voice.length(), voice.side()), (576, 192, 9));
        assert_eq!(Frame::at(&[0xff, 0xe3, 0x88, 0xc4]).unwrap().rate(), 8_000);
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for bytes in [
            &[0xff, 0xfb, 0x90][..],
            // Layer II, the reserved layer and version, no sync.
            &[0xff, 0xfd, 0x90, 0x44],
            &[0xff, 0xf9, 0x90, 0x44],
            &[0xff, 0xeb, 0x90, 0x44],
            &[0xff, 0x1b, 0x90, 0x44],
            // A bit rate that is free or forbidden, a reserved sample rate.
            &[0xff, 0xfb, 0x00, 0x44],
            &[0xff, 0xfb, 0xf0, 0x44],
            &[0xff, 0xfb, 0x9c, 0x44],
        ] {
            assert_eq!(Frame::at(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn frames_are_found_between_other_things() {
        let frame = [&[0xff, 0xfb, 0x90, 0x44][..], &[0; 413]].concat();
        let bytes = [b"TAG", &frame[..], &frame, b"\xff", &frame, &frame[..416]].concat();
        let found: Vec<_> = frames(&bytes).map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(found, [417; 3]);
        assert_eq!(frames(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_a_frame_is_of_sane_size(bytes: [u8; 4]) {
            if let Some(frame) = Frame::at(&bytes) {
                prop_assert!((24..=1441).contains(&frame.length()));
                prop_assert_eq!(Frame::at(&frame.bytes()), Some(frame));
                let roomy = frame.with_room(156);
                prop_assert!(roomy.is_like(frame) && roomy.length() >= HEADER + roomy.side() + 156);
                prop_assert_eq!(Frame::at(&roomy.bytes()), Some(roomy));
            }
        }
    }
}
