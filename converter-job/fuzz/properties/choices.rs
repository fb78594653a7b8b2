//! Bytes from which a course is chosen, one number after the other. When they have run out all is zero.

pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn are_out(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes, fewer at the end.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut eight = [0; 8];
        let taken = self.bytes(8);
        eight[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(eight)
    }

    /// A number below `end`, which four bytes choose.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let mut four = [0; 4];
        let taken = self.bytes(4);
        four[..taken.len()].copy_from_slice(taken);
        u32::from_le_bytes(four) as usize % end.max(1)
    }

    /// A size of any magnitude below `1 << bits`.
    pub(crate) fn size(&mut self, bits: u8) -> usize {
        let bits = self.byte() % (bits + 1);
        self.below(1 << bits)
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[usize::from(self.byte()) % these.len()]
    }

    /// Up to so many characters, most of them of the kinds that make trouble.
    pub(crate) fn text(&mut self, most: usize) -> String {
        let (bytes, times) = (self.bytes(12), self.size(11));
        let text = String::from_utf8_lossy(bytes);
        text.chars().cycle().take(times.min(most)).collect()
    }
}
