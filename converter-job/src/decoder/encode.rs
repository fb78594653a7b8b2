//! From frames of LAME's shape to an MP3 file.

use super::{
    Stop,
    header::Silence,
    lame::{DELAY, Lame, Tuning},
    layer3::Frame,
    loudness,
    mp3::Mp3,
    resample::{Shape, empty},
    segments::Segments,
    workers::{Form, Workers},
};
use crate::protocol::Job;
use ffmpeg_next::{Packet, format::Sample, frame};
use std::{mem, ops::Range};

/// Takes frames, writes an MP3.
pub(super) struct Encoder {
    shape: Shape,
    /// What floats are multiplied by.
    gain: f32,
    lames: Lames,
    mp3: Mp3,
    /// The frame that is being filled, and how many of its samples are.
    filling: frame::Audio,
    filled: usize,
    /// Samples in one MP3 frame.
    step: usize,
    /// Samples encoded.
    samples: u64,
}

/// One LAME, or several that share the work.
enum Lames {
    One(Box<Lame>),
    Several(Segments),
}

impl Encoder {
    /// An encoder for frames that have the shape of the first. However many workers it has, it gives
    /// the same bytes.
    pub(super) fn open(
        job: &Job,
        workers: Workers,
        gain: f32,
        first: &frame::Audio,
        mp3: Mp3,
    ) -> Result<Self, Stop> {
        let shape = Shape::of(first);
        let tuning = Tuning::of(&job.options, job.serial);
        let lame = Lame::open(tuning, shape)?;
        let step = lame.step();
        let lames = if workers.is_empty() {
            Lames::One(Box::new(lame))
        } else {
            Lames::Several(Segments::new(workers, Form::of(tuning, shape))?)
        };
        let filling = empty(shape, step)?;
        Ok(Self { shape, gain, lames, mp3, filling, filled: 0, step, samples: 0 })
    }

    /// Encodes as many whole MP3 frames as what waits and `frame` make.
    pub(super) fn push(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        let mut taken = 0;
        while taken < frame.samples() {
            let count = (frame.samples() - taken).min(self.step - self.filled);
            self.fill(frame, taken..taken + count)?;
            taken += count;
            if self.filled == self.step {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// Takes these samples.
    fn fill(&mut self, frame: &frame::Audio, samples: Range<usize>) -> Result<(), Stop> {
        let width = self.shape.format.bytes();
        let (from, to) = (samples.start * width..samples.end * width, self.filled * width);
        for index in 0..self.filling.planes() {
            let bytes = frame.data(index).get(from.clone()).ok_or(Stop::Memory)?;
            let room = self.filling.data_mut(index).get_mut(to..to + bytes.len());
            let room = room.ok_or(Stop::Memory)?;
            room.copy_from_slice(bytes);
            if matches!(self.shape.format, Sample::F32(_)) {
                loudness::amplify(room, self.gain);
            }
        }
        self.filled += samples.len();
        Ok(())
    }

    /// Encodes what has been filled in.
    fn encode(&mut self) -> Result<(), Stop> {
        let next = empty(self.shape, self.step)?;
        let mut frame = mem::replace(&mut self.filling, next);
        frame.set_samples(self.filled);
        frame.set_pts(i64::try_from(self.samples).ok());
        self.samples += mem::take(&mut self.filled) as u64;
        let mp3 = &mut self.mp3;
        match &mut self.lames {
            Lames::One(lame) => {
                lame.encode(&frame)?;
                write_all(lame, mp3)
            }
            Lames::Several(segments) => segments.push(frame, &mut |packet| write(&packet, mp3)),
        }
    }

    /// Encodes the rest and completes the file; milliseconds of sound.
    pub(super) fn finish(mut self) -> Result<u64, Stop> {
        if self.filled > 0 {
            self.encode()?;
        }
        let Self { lames, mut mp3, samples, .. } = self;
        match lames {
            Lames::One(mut lame) => {
                lame.end()?;
                write_all(&mut lame, &mut mp3)?;
            }
            Lames::Several(segments) => segments.finish(&mut |packet| write(&packet, &mut mp3))?,
        }
        let padding = mp3.samples().saturating_sub(DELAY + samples);
        mp3.finish(Some(Silence { delay: DELAY, padding }))?;
        Ok(samples * 1000 / u64::from(self.shape.rate))
    }
}

/// Writes the packets that are ready.
fn write_all(lame: &mut Lame, mp3: &mut Mp3) -> Result<(), Stop> {
    while let Some(packet) = lame.packet()? {
        write(&packet, mp3)?;
    }
    Ok(())
}

/// Writes a packet: LAME makes one of each frame.
fn write(packet: &Packet, mp3: &mut Mp3) -> Result<(), Stop> {
    let bytes = packet.data().unwrap_or_default();
    let frame = Frame::at(bytes).filter(|frame| frame.length() == bytes.len());
    let frame = frame.ok_or_else(|| Stop::Trouble("LAME made no frame".to_owned()))?;
    mp3.push(frame, bytes)
}
