//! The threads that encode, and what they are given: segments, each for a LAME of its own.
//!
//! They are started before the decoder gives up what it does not need: after that no thread can be.

use super::{
    Stop,
    lame::{Lame, Tuning},
    resample::Shape,
    segments::QUEUE,
};
use crate::protocol::Job;
use ffmpeg_next::{ChannelLayout, Packet, format::Sample, frame};
use std::{
    io,
    ops::Range,
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel},
    },
    thread,
};

/// LAME keeps its state on the heap.
const STACK: usize = 256 << 10;

/// Threads that wait for segments.
#[derive(Default)]
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    tasks: SyncSender<Task>,
    packets: Receiver<Result<Vec<Packet>, Stop>>,
}

/// The sound of a few MP3 frames.
pub(super) type Piece = Vec<frame::Audio>;

/// What a worker is told: a segment's beginning, its sound, and its end; then it gives the packets.
pub(super) enum Task {
    Begin {
        form: Form,
        /// The frame that comes first.
        begin: u64,
        /// The frames wanted: all from its start on, where the sound ends with the segment.
        wanted: Range<u64>,
    },
    Sound(Arc<Piece>),
    End {
        /// Whether the sound ends here too.
        is_last: bool,
    },
}

/// How LAME is to encode, and what of a [`Shape`] can go to another thread.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) tuning: Tuning,
    pub(super) format: Sample,
    pub(super) channels: i32,
    pub(super) rate: u32,
}

impl Form {
    pub(super) fn of(tuning: Tuning, shape: Shape) -> Self {
        let Shape { format, layout, rate } = shape;
        Self { tuning, format, channels: layout.channels(), rate }
    }

    fn open(self) -> Result<Lame, Stop> {
        let Self { tuning, format, channels, rate } = self;
        Lame::open(tuning, Shape { format, layout: ChannelLayout::default(channels), rate })
    }
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

    /// Tells the worker whose turn it is, as soon as its queue has room.
    pub(super) fn give(&self, turn: usize, task: Task) -> Result<(), Stop> {
        self.of(turn).tasks.send(task).map_err(|_| died())
    }

    /// The packets of a segment, once its worker has them.
    pub(super) fn ready(&self, turn: usize) -> Result<Option<Vec<Packet>>, Stop> {
        match self.of(turn).packets.try_recv() {
            Ok(packets) => packets.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(died()),
        }
    }

    /// Waits for the packets of a segment.
    pub(super) fn wait(&self, turn: usize) -> Result<Vec<Packet>, Stop> {
        self.of(turn).packets.recv().map_err(|_| died())?
    }

    fn of(&self, turn: usize) -> &Worker {
        &self.0[turn % self.len()]
    }
}

fn died() -> Stop {
    Stop::Trouble("a thread of the encoder has died".to_owned())
}

impl Worker {
    /// A thread that ends when nobody tells it anything any more.
    fn start(ready: Arc<Barrier>) -> io::Result<Self> {
        let (tasks, told) = sync_channel(QUEUE);
        // Packets are few and small beside the sound, and a worker must never wait for their reader,
        // who may be waiting for it.
        let (give, packets) = channel();
        thread::Builder::new().stack_size(STACK).spawn(move || {
            ready.wait();
            let mut segment = Err(Stop::Trouble("sound without a segment".to_owned()));
            for task in told {
                segment = match task {
                    Task::Begin { form, begin, wanted } => Segment::begin(form, begin, wanted),
                    Task::Sound(piece) => segment.and_then(|segment| segment.encode(&piece)),
                    Task::End { is_last } => {
                        let done = segment.and_then(|segment| segment.end(is_last));
                        if give.send(done).is_err() {
                            return;
                        }
                        Err(Stop::Trouble("sound behind a segment".to_owned()))
                    }
                };
            }
        })?;
        Ok(Self { tasks, packets })
    }
}

/// A segment that is being encoded.
struct Segment {
    lame: Lame,
    wanted: Range<u64>,
    /// Of the next packet.
    number: u64,
    packets: Vec<Packet>,
}

impl Segment {
    fn begin(form: Form, begin: u64, wanted: Range<u64>) -> Result<Self, Stop> {
        Ok(Self { lame: form.open()?, wanted, number: begin, packets: Vec::new() })
    }

    fn encode(mut self, piece: &Piece) -> Result<Self, Stop> {
        for frame in piece {
            self.lame.encode(frame)?;
            self.keep()?;
        }
        Ok(self)
    }

    fn end(mut self, is_last: bool) -> Result<Vec<Packet>, Stop> {
        if is_last {
            self.lame.end()?;
            self.keep()?;
            return Ok(self.packets);
        }
        let wanted = self.wanted.end - self.wanted.start;
        self.packets.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        if self.number < self.wanted.end {
            let lag = self.wanted.end - self.number;
            return Err(Stop::Trouble(format!("LAME lags {lag} frames")));
        }
        Ok(self.packets)
    }

    /// Keeps the packets that there are, but for those before the segment. Which are behind it is known
    /// when it ends.
    fn keep(&mut self) -> Result<(), Stop> {
        while let Some(packet) = self.lame.packet()? {
            if self.number >= self.wanted.start {
                self.packets.push(packet);
            }
            self.number += 1;
        }
        Ok(())
    }
}
