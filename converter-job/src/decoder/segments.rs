//! LAME on several threads, to the very bytes that one thread would give.
//!
//! The sound is cut into segments of whole MP3 frames. Each is encoded by a LAME of its own, which
//! begins some frames before the segment and goes on for some after it; of its packets only the
//! segment's own are kept. What must hold: the bit reservoir is off. Then a frame depends on the sound
//! around it and on what LAME has heard in the frames before, and on nothing else.
//!
//! A worker gets its segment block by block, as the sound is decoded, and its queue holds no more than
//! a segment: that bounds the memory, and has every worker at work while the next segment comes in.

use super::{
    Stop,
    workers::{Form, Piece, Task, Workers},
};
use ffmpeg_next::{Packet, frame};
use std::{collections::VecDeque, mem, sync::Arc};

/// Frames that are handed over together. All that is counted below in frames is a multiple of it.
const BLOCK: u64 = 7;
/// Frames in a segment: 72 s at 48 kHz, 28 MB of stereo. Shorter ones cost more time for the frames
/// that are encoded twice, longer ones more memory.
const SEGMENT: u64 = 429 * BLOCK;
/// Frames in the first segment of each worker: short videos want several threads too.
const FIRST: u64 = 143 * BLOCK;
/// Frames heard before a segment. LAME's threshold of hearing was measured to remember 95.
const BEFORE: u64 = 100;
/// Frames heard after it: more than LAME looks ahead, which is 4.
const AFTER: u64 = BLOCK;
/// At 44.1 kHz and its halves the padding of frames repeats after so many, counted from the first that
/// an encoder gets.
const PHASE: u64 = 7 * BLOCK;

/// Sound that is cut, encoded and put together again.
pub(super) struct Segments {
    workers: Workers,
    form: Form,
    /// What comes in now.
    block: Piece,
    /// Frames so far, without it.
    count: u64,
    /// The end of the segment that is coming in.
    end: u64,
    /// The latest blocks, as far as the next segment needs them before its own.
    latest: VecDeque<Arc<Piece>>,
    /// The segment that is coming in, and the one whose packets are due.
    turn: usize,
    due: usize,
}

impl Segments {
    pub(super) fn new(workers: Workers, form: Form) -> Result<Self, Stop> {
        workers.give(0, Task::Begin { form, begin: 0, wanted: 0..FIRST })?;
        let (block, latest) = (Piece::new(), VecDeque::new());
        Ok(Self { workers, form, block, count: 0, end: FIRST, latest, turn: 0, due: 0 })
    }

    /// Takes the sound of one MP3 frame, of which only the last may be shorter, and gives the packets
    /// that are ready to `write`, in order.
    pub(super) fn push(
        &mut self,
        frame: frame::Audio,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.block.push(frame);
        if self.block.len() as u64 == BLOCK {
            self.give()?;
            if self.count == self.end + AFTER {
                self.next()?;
                self.write_ready(write)?;
            }
        }
        Ok(())
    }

    /// Hands the block over.
    fn give(&mut self) -> Result<(), Stop> {
        let block = Arc::new(mem::take(&mut self.block));
        let is_heard_twice = self.count >= self.first_heard();
        self.count += block.len() as u64;
        if is_heard_twice {
            self.latest.push_back(block.clone());
        }
        self.workers.give(self.turn, Task::Sound(block))
    }

    /// The first frame that the encoder of the next segment hears.
    const fn first_heard(&self) -> u64 {
        let phase = if self.form.rate.is_multiple_of(11_025) { PHASE } else { BLOCK };
        self.end.saturating_sub(BEFORE) / phase * phase
    }

    /// Ends the segment that is coming in, and begins the next.
    fn next(&mut self) -> Result<(), Stop> {
        self.workers.give(self.turn, Task::End { is_last: false })?;
        self.turn += 1;
        let length = if self.turn < self.workers.len() { FIRST } else { SEGMENT };
        let (begin, wanted) = (self.first_heard(), self.end..self.end + length);
        self.end = wanted.end;
        self.workers.give(self.turn, Task::Begin { form: self.form, begin, wanted })?;
        for piece in self.latest.drain(..) {
            self.workers.give(self.turn, Task::Sound(piece))?;
        }
        Ok(())
    }

    fn write_ready(
        &mut self,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        while self.due < self.turn
            && let Some(packets) = self.workers.ready(self.due)?
        {
            self.due += 1;
            packets.into_iter().try_for_each(&mut *write)?;
        }
        Ok(())
    }

    /// Encodes the rest and gives all packets to `write`.
    pub(super) fn finish(
        mut self,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if !self.block.is_empty() {
            self.give()?;
        }
        self.workers.give(self.turn, Task::End { is_last: true })?;
        for due in self.due..=self.turn {
            self.workers.wait(due)?.into_iter().try_for_each(&mut *write)?;
        }
        Ok(())
    }
}

/// Blocks that wait for a worker at most.
pub(super) const QUEUE: usize = ((SEGMENT + BEFORE + PHASE + AFTER) / BLOCK) as usize;
