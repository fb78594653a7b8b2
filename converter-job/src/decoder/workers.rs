//! The threads that encode, and what they are given: segments, each for a LAME of its own.
//!
//! They are started before the decoder gives up what it does not need: after that no thread can be.

use super::{
    Stop,
    lame::{Lame, Tuning},
    resample::Shape,
};
use crate::protocol::Job;
use ffmpeg_next::{ChannelLayout, Packet, format::Sample};
use std::{
    io,
    ops::Range,
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// LAME keeps its state on the heap.
const STACK: usize = 256 << 10;

/// Threads that wait for segments.
#[derive(Default)]
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    segments: SyncSender<Segment>,
    packets: Receiver<Result<Vec<Packet>, Stop>>,
}

/// A worker's task.
pub(super) struct Segment {
    pub(super) planes: Vec<Vec<u8>>,
    /// The frame with which the planes begin.
    pub(super) begin: u64,
    /// The frames wanted; all from its start on, of the last segment.
    pub(super) wanted: Range<u64>,
    pub(super) is_last: bool,
    pub(super) form: Form,
}

/// How LAME is to encode, and what of a [`Shape`] can go to another thread.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) tuning: Tuning,
    pub(super) format: Sample,
    pub(super) channels: i32,
    pub(super) rate: u32,
    /// Samples in one MP3 frame.
    pub(super) step: usize,
}

impl Workers {
    /// Starts the threads that a job may use, and waits until each stands ready; none where one thread
    /// does it all.
    pub(super) fn start(job: &Job) -> io::Result<Self> {
        let threads = usize::try_from(job.threads).unwrap_or(1);
        if threads < 2 || Tuning::of(&job.options, job.serial).reservoir {
            return Ok(Self::default());
        }
        let ready = Arc::new(Barrier::new(threads + 1));
        let workers = (0..threads).map(|_| Worker::start(ready.clone()));
        let workers = workers.collect::<io::Result<_>>()?;
        ready.wait();
        Ok(Self(workers))
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives a segment to the worker whose turn it is.
    pub(super) fn give(&self, turn: usize, segment: Segment) -> Result<(), Stop> {
        self.0[turn % self.len()].segments.send(segment).map_err(|_| died())
    }

    /// Waits for the packets of the worker whose turn it is.
    pub(super) fn take(&self, turn: usize) -> Result<Vec<Packet>, Stop> {
        self.0[turn % self.len()].packets.recv().map_err(|_| died())?
    }
}

fn died() -> Stop {
    Stop::Trouble("a thread of the encoder has died".to_owned())
}

impl Worker {
    /// A thread that ends when nobody gives it segments any more.
    fn start(ready: Arc<Barrier>) -> io::Result<Self> {
        let (segments, given) = sync_channel::<Segment>(1);
        let (give, packets) = sync_channel(1);
        thread::Builder::new().stack_size(STACK).spawn(move || {
            ready.wait();
            for segment in given {
                if give.send(segment.encode()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { segments, packets })
    }
}

impl Segment {
    fn encode(self) -> Result<Vec<Packet>, Stop> {
        let Form { tuning, format, channels, rate, step } = self.form;
        let shape = Shape { format, layout: ChannelLayout::default(channels), rate };
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
