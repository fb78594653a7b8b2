//! The frame before the sound of an MP3, which players pass over: the tag that Xing invented and LAME
//! extended. It tells how long the file is, where in it a player finds a moment, and which samples at
//! both ends are not sound. Its place is taken at the beginning, and it is filled in at the end.

use super::layer3::{Frame, HEADER};
use crc::{CRC_16_ARC, Crc, Digest, NoTable, Table};

/// The checksum over the sound, which has to be quick, and the one over the header.
static SOUND: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_ARC);
const TAG: Crc<u16, NoTable> = Crc::<u16, NoTable>::new(&CRC_16_ARC);
/// Bytes of the tag.
const LENGTH: usize = 156;
/// The tag has the number of frames, of bytes, places and a quality.
const PARTS: u32 = 0b1111;
/// What players read both lengths of silence behind, of whoever wrote the tag.
const MAKER: &[u8; 9] = b"LAME3.100";
/// What every player leaves out at the beginning besides the silence that is told to it: the delay of
/// its own decoder.
pub(super) const DECODER: u64 = 529;
/// The longest silence that can be told.
pub(super) const LONGEST: u64 = 0xfff;
/// Positions that are remembered while the file's length is not known.
const MOST: usize = 512;

/// Samples at both ends that are not sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Before the sound, without the decoder's own.
    pub(super) delay: u64,
    /// Behind it, with the decoder's own.
    pub(super) padding: u64,
}

/// Follows the frames of an MP3.
pub(super) struct Header {
    frame: Frame,
    frames: u32,
    /// This frame included.
    bytes: u32,
    /// Where every so manieth frame begins.
    positions: Vec<u32>,
    every: u32,
    is_constant: bool,
    last: Option<u16>,
    sound: Digest<'static, u16, Table<16>>,
}

impl Header {
    /// The header of a file whose first frame is this one.
    pub(super) fn of(first: Frame) -> Self {
        let frame = first.with_room(LENGTH);
        Self {
            frame,
            frames: 0,
            bytes: frame.length() as u32,
            positions: Vec::new(),
            every: 1,
            is_constant: true,
            last: None,
            sound: SOUND.digest(),
        }
    }

    /// Bytes of it.
    pub(super) fn length(&self) -> usize {
        self.frame.length()
    }

    /// Samples in the frames so far.
    pub(super) fn samples(&self) -> u64 {
        u64::from(self.frames) * self.frame.samples()
    }

    /// Counts a frame.
    pub(super) fn push(&mut self, frame: Frame, bytes: &[u8]) {
        if self.frames.is_multiple_of(self.every) {
            if self.positions.len() == MOST {
                let mut even = [true, false].into_iter().cycle();
                self.positions.retain(|_| even.next() == Some(true));
                self.every *= 2;
            }
            self.positions.push(self.bytes);
        }
        let before = self.last.replace(frame.kilobits());
        self.is_constant &= before.is_none_or(|kilobits| kilobits == frame.kilobits());
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes.len() as u32);
        self.sound.update(bytes);
    }

    /// The whole frame. Without `silence` it says nothing of it, and players leave nothing out.
    pub(super) fn encode(&self, silence: Option<Silence>) -> Vec<u8> {
        let mut bytes = self.frame.bytes().to_vec();
        bytes.resize(HEADER + self.frame.side(), 0);
        bytes.extend(if self.is_constant { b"Info" } else { b"Xing" });
        for number in [PARTS, self.frames, self.bytes] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend((0..100).map(|percent| self.place(percent)));
        bytes.extend([0; 4]);
        if let Some(silence) = silence {
            self.encode_lame(silence, &mut bytes);
        }
        bytes.resize(self.length(), 0);
        bytes
    }

    /// LAME's own part.
    fn encode_lame(&self, Silence { delay, padding }: Silence, bytes: &mut Vec<u8>) {
        bytes.extend(MAKER);
        // Its revision, and whether the bit rate is constant or varies as LAME does it; no filter, no
        // gain, no peak, no flags.
        bytes.push(if self.is_constant { 1 } else { 4 });
        bytes.extend([0; 10]);
        let kilobits = self.last.filter(|_| self.is_constant).unwrap_or(0);
        bytes.push(kilobits.min(255) as u8);
        let both = delay.min(LONGEST) << 12 | padding.min(LONGEST);
        bytes.extend(&both.to_be_bytes()[5..]);
        bytes.extend([0; 4]);
        bytes.extend(self.bytes.to_be_bytes());
        bytes.extend(self.sound.clone().finalize().to_be_bytes());
        bytes.extend(TAG.checksum(bytes).to_be_bytes());
    }

    /// Where so many hundredths of the time have passed, in 256ths of the file.
    fn place(&self, percent: u32) -> u8 {
        let frame = u64::from(self.frames) * u64::from(percent) / 100;
        let index = frame / u64::from(self.every);
        let at = usize::try_from(index).ok().and_then(|index| self.positions.get(index));
        let at = at.map_or(0, |at| u64::from(*at) * 256 / u64::from(self.bytes));
        u8::try_from(at).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header over so many frames of 417 bytes.
    fn over(frames: u32) -> Header {
        let frame = Frame::at(&[0xff, 0xfb, 0x90, 0x44]).unwrap();
        let mut header = Header::of(frame);
        for _ in 0..frames {
            header.push(frame, &[0x55; 417]);
        }
        header
    }

    const SILENCE: Silence = Silence { delay: 576, padding: 1_000 };

    #[test]
    fn the_tag_stands_where_players_look_for_it() {
        let bytes = over(1000).encode(Some(SILENCE));
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((&bytes[..4], bytes.len()), (&[0xff, 0xfb, 0x50, 0x44][..], 208));
        assert_eq!(&bytes[36..40], b"Info");
        assert_eq!([number(40), number(44), number(48)], [15, 1000, 208 + 417_000]);
        assert_eq!(&bytes[156..165], MAKER);
        assert_eq!(bytes[177..180], [0x24, 0x03, 0xe8]);
        assert_eq!(number(184), 208 + 417_000);
    }

    #[test]
    fn the_checksums_are_those_that_lame_writes() {
        // Of the check value that the algorithm is known by.
        assert_eq!(TAG.checksum(b"123456789"), 0xbb3d);
        assert_eq!(SOUND.checksum(b"123456789"), 0xbb3d);
        let bytes = over(7).encode(Some(SILENCE));
        assert_eq!(bytes[188..190], SOUND.checksum(&[0x55; 7 * 417]).to_be_bytes());
        assert_eq!(bytes[190..192], TAG.checksum(&bytes[..190]).to_be_bytes());
    }

    #[test]
    fn places_are_even_where_frames_are() {
        for frames in [1, 2, 99, 513, 1024, 70_000] {
            let header = over(frames);
            for percent in 0..100 {
                let want = 256.0 * f64::from(percent) / 100.0;
                let have = f64::from(header.place(percent));
                let one = 256.0 / f64::from(frames) + 3.0;
                assert!((have - want).abs() <= one, "{percent} % of {frames}: {have}");
            }
        }
    }

    #[test]
    fn frames_of_different_rates_are_no_constant_one() {
        let mut header = over(3);
        let other = Frame::at(&[0xff, 0xfb, 0xa0, 0x44]).unwrap();
        header.push(other, &[0x55; 522]);
        assert_eq!(&header.encode(None)[36..40], b"Xing");
        assert_eq!(header.encode(None)[156..], [0; 52]);
    }
}
