//! LAME on several threads, to the very bytes that one thread would give.
//!
//! The sound is cut into segments of whole MP3 frames. Each is encoded by a LAME of its own, which
//! begins some frames before the segment and goes on for some after it; of its packets only the
//! segment's own are kept. What must hold: the bit reservoir is off. Then a frame depends on the sound
//! around it and on what LAME has heard in the frames before, and on nothing else.

use super::{
    Stop,
    workers::{Form, Segment, Workers},
};
use ffmpeg_next::Packet;
use std::{mem, ops::Range};

/// Frames in a segment: 72 s at 48 kHz, 28 MB of stereo. Shorter ones cost more time for the frames
/// that are encoded twice, longer ones more memory.
const SEGMENT: u64 = 3000;
/// Frames heard before a segment. LAME's threshold of hearing was measured to remember 95.
const BEFORE: u64 = 100;
/// Frames heard after it: more than LAME looks ahead.
const AFTER: u64 = 4;
/// At 44.1 kHz and its halves the padding of frames repeats after so many, counted from the first that
/// an encoder gets.
const PHASE: u64 = 49;
/// Frames that are gathered at most, but for those that come at once.
const ROOM: usize = (SEGMENT + BEFORE + PHASE + AFTER) as usize;

/// Sound that is cut, encoded and put together again.
pub(super) struct Segments {
    workers: Workers,
    form: Form,
    /// Bytes of one frame in one plane.
    frame_bytes: usize,
    /// Planes of what is gathered, from the frame `begin` on.
    planes: Vec<Vec<u8>>,
    begin: u64,
    /// The first frame that no segment has yet.
    next: u64,
    /// Segments given to workers, in turn, and those taken back.
    given: usize,
    taken: usize,
}

impl Segments {
    pub(super) fn new(workers: Workers, form: Form) -> Self {
        let frame_bytes = form.step * form.format.bytes();
        let plane = |_| Vec::with_capacity(ROOM * frame_bytes);
        Self {
            workers,
            form,
            frame_bytes,
            planes: (0..form.channels).map(plane).collect(),
            begin: 0,
            next: 0,
            given: 0,
            taken: 0,
        }
    }

    /// Takes sound, and gives the packets that are ready to `write`, in order.
    pub(super) fn push(
        &mut self,
        planes: &[Vec<u8>],
        bytes: Range<usize>,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for (gathered, plane) in self.planes.iter_mut().zip(planes) {
            gathered.extend_from_slice(&plane[bytes.clone()]);
        }
        let have = self.begin + (self.planes[0].len() / self.frame_bytes) as u64;
        let end = self.next + SEGMENT;
        if have < end + AFTER {
            return Ok(());
        }
        let begin = end.saturating_sub(BEFORE) / PHASE * PHASE;
        let cut = usize::try_from(begin - self.begin).unwrap_or(0) * self.frame_bytes;
        let tail = |plane: &Vec<u8>| {
            let mut tail = Vec::with_capacity(ROOM * self.frame_bytes);
            tail.extend_from_slice(&plane[cut..]);
            tail
        };
        let tails = self.planes.iter().map(tail).collect();
        let planes = mem::replace(&mut self.planes, tails);
        let (from, wanted) = (self.begin, self.next..end);
        (self.begin, self.next) = (begin, end);
        self.give(Segment { planes, begin: from, wanted, is_last: false, form: self.form }, write)
    }

    /// Encodes the rest and gives all packets to `write`.
    pub(super) fn finish(
        mut self,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let planes = mem::take(&mut self.planes);
        let (begin, wanted, form) = (self.begin, self.next..u64::MAX, self.form);
        self.give(Segment { planes, begin, wanted, is_last: true, form }, write)?;
        while self.taken < self.given {
            self.take(write)?;
        }
        Ok(())
    }

    /// To the worker whose turn it is, once what it has is done.
    fn give(
        &mut self,
        segment: Segment,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if self.given - self.taken == self.workers.len() {
            self.take(write)?;
        }
        self.workers.give(self.given, segment)?;
        self.given += 1;
        Ok(())
    }

    fn take(&mut self, write: &mut impl FnMut(Packet) -> Result<(), Stop>) -> Result<(), Stop> {
        let packets = self.workers.take(self.taken)?;
        self.taken += 1;
        packets.into_iter().try_for_each(write)
    }
}
