//! LAME on several threads, to the very bytes that one thread would give.
//!
//! The sound is cut into segments of whole MP3 frames. Each is encoded by a LAME of its own, which
//! begins some frames before the segment and goes on for some after it; of its packets only the
//! segment's own are kept. What must hold: the bit reservoir is off. Then a frame depends on the sound
//! around it and on what LAME has heard in the frames before, and on nothing else.

use super::{
    Stop,
    lame::{Lame, Tuning},
    resample::Shape,
};
use ffmpeg_next::{ChannelLayout, Packet, format::Sample};
use std::{
    mem,
    ops::Range,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

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
/// LAME keeps its state on the heap.
const STACK: usize = 256 << 10;

/// Sound that is cut, encoded and put together again.
pub(super) struct Segments {
    workers: Vec<Worker>,
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

struct Worker {
    segments: SyncSender<Segment>,
    packets: Receiver<Result<Vec<Packet>, Stop>>,
}

/// A worker's task.
struct Segment {
    planes: Vec<Vec<u8>>,
    /// The frame with which the planes begin.
    begin: u64,
    /// The frames wanted; all from its start on, of the last segment.
    wanted: Range<u64>,
    is_last: bool,
}

/// What of a [`Shape`] can go to another thread.
#[derive(Clone, Copy)]
struct Form {
    format: Sample,
    channels: i32,
    rate: u32,
    /// Samples in one MP3 frame.
    step: usize,
}

impl Segments {
    /// Starts the threads.
    pub(super) fn open(
        tuning: Tuning,
        shape: Shape,
        step: usize,
        threads: usize,
    ) -> Result<Self, Stop> {
        let channels = shape.layout.channels();
        let form = Form { format: shape.format, channels, rate: shape.rate, step };
        let room = ROOM * step * shape.format.bytes();
        let workers = (0..threads).map(|_| Worker::start(tuning, form));
        let workers = workers.collect::<std::io::Result<_>>().map_err(|_| Stop::Memory)?;
        Ok(Self {
            workers,
            frame_bytes: step * shape.format.bytes(),
            planes: (0..channels).map(|_| Vec::with_capacity(room)).collect(),
            begin: 0,
            next: 0,
            given: 0,
            taken: 0,
        })
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
        let segment = Segment { planes, begin: self.begin, wanted: self.next..end, is_last: false };
        (self.begin, self.next) = (begin, end);
        self.give(segment, write)
    }

    /// Encodes the rest and gives all packets to `write`.
    pub(super) fn finish(
        mut self,
        write: &mut impl FnMut(Packet) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let planes = mem::take(&mut self.planes);
        let wanted = self.next..u64::MAX;
        self.give(Segment { planes, begin: self.begin, wanted, is_last: true }, write)?;
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
        let worker = &self.workers[self.given % self.workers.len()];
        self.given += 1;
        worker.segments.send(segment).map_err(|_| died())
    }

    fn take(&mut self, write: &mut impl FnMut(Packet) -> Result<(), Stop>) -> Result<(), Stop> {
        let worker = &self.workers[self.taken % self.workers.len()];
        self.taken += 1;
        let packets = worker.packets.recv().map_err(|_| died())??;
        packets.into_iter().try_for_each(write)
    }
}

fn died() -> Stop {
    Stop::Trouble("a thread of the encoder has died".to_owned())
}

impl Worker {
    /// A thread that ends when nobody gives it segments any more.
    fn start(tuning: Tuning, form: Form) -> std::io::Result<Self> {
        let (segments, given) = sync_channel::<Segment>(1);
        let (give, packets) = sync_channel(1);
        thread::Builder::new().stack_size(STACK).spawn(move || {
            for segment in given {
                if give.send(segment.encode(tuning, form)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { segments, packets })
    }
}

impl Segment {
    fn encode(self, tuning: Tuning, form: Form) -> Result<Vec<Packet>, Stop> {
        let Form { format, channels, rate, .. } = form;
        let shape = Shape { format, layout: ChannelLayout::default(channels), rate };
        let step = form.step;
        let mut lame = Lame::open(tuning, shape, self.begin * step as u64)?;
        let (samples, mut packets) = (self.planes[0].len() / format.bytes(), Vec::new());
        let mut number = self.begin;
        let mut keep = |lame: &mut Lame| -> Result<(), Stop> {
            while let Some(packet) = lame.packet()? {
                if self.wanted.contains(&number) {
                    packets.push(packet);
                }
                number += 1;
            }
            Ok(())
        };
        for start in (0..samples).step_by(step) {
            lame.encode(&self.planes, start..samples.min(start + step))?;
            keep(&mut lame)?;
        }
        if self.is_last {
            lame.end()?;
            keep(&mut lame)?;
        } else if number < self.wanted.end {
            return Err(Stop::Trouble(format!("LAME lags {} frames", self.wanted.end - number)));
        }
        Ok(packets)
    }
}
