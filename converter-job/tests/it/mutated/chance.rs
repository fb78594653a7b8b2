//! What is done to a file, chosen by a seed.

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

/// Choices that follow from a seed and a file's number: files can be made in any order.
pub(crate) struct Chance(u64);

/// The seed that `SEED` gives, or else a new one.
pub(crate) fn seed() -> u64 {
    let given = env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| RandomState::new().hash_one(0))
}

impl Chance {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number, as splitmix64 gives them.
    fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.any() % end.max(1) as u64).unwrap()
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())]
    }

    /// A place in so many bytes: often among the first or the last, where heads and indexes lie.
    fn place(&mut self, length: usize) -> usize {
        let edge = length.min(2048);
        match self.below(4) {
            0 | 1 => self.below(edge),
            2 => length - edge + self.below(edge),
            _ => self.below(length),
        }
    }

    /// Some bytes, mostly few.
    fn chunk(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.place(length);
        let most = 1 << self.below(14);
        start..(start + 1 + self.below(most)).min(length)
    }
}

/// Does a few things to a file; what they were.
pub(super) fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) -> Vec<&'static str> {
    let times = 1 + chance.below(6);
    (0..times).map(|_| once(bytes, chance)).collect()
}

fn once(bytes: &mut Vec<u8>, chance: &mut Chance) -> &'static str {
    if bytes.len() < 8 {
        return "nothing";
    }
    let at = chance.place(bytes.len());
    match chance.below(9) {
        0 => {
            bytes[at] ^= 1 << chance.below(8);
            "bit"
        }
        1 => {
            bytes[at] = 0;
            "zero"
        }
        2 => {
            bytes[at] = 0xff;
            "ones"
        }
        3 => {
            let copied = bytes[chance.chunk(bytes.len())].to_vec();
            bytes.splice(at..at, copied);
            "copy"
        }
        4 => {
            bytes.drain(chance.chunk(bytes.len()));
            "delete"
        }
        5 => {
            let (from, to) = (chance.place(bytes.len()), at);
            let most = (bytes.len() - from.max(to)).min(from.abs_diff(to));
            (0..chance.below(most.max(1))).for_each(|step| bytes.swap(from + step, to + step));
            "swap"
        }
        6 | 7 => {
            lengthen(bytes, at, chance);
            "length"
        }
        _ => {
            bytes.truncate(at.max(1));
            "cut"
        }
    }
}

/// Changes four bytes as if they told a length, the largest first.
fn lengthen(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    let at = at.min(bytes.len() - 4);
    let field = &mut bytes[at..at + 4];
    let old = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
    let some = u32::try_from(chance.below(1 << 16)).unwrap();
    let new = match chance.below(8) {
        0 => 0,
        1 => 1,
        2 => u32::MAX,
        3 => i32::MAX as u32,
        4 => old.wrapping_add(1),
        5 => old.wrapping_sub(1),
        6 => old.wrapping_mul(2),
        _ => some,
    };
    field.copy_from_slice(&new.to_be_bytes());
}
