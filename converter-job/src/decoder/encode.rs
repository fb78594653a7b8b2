//! From frames of LAME's shape to an MP3 file.

use super::{
    Stop,
    header::Silence,
    lame::{DELAY, Lame, Tuning},
    layer3::Frame,
    loudness,
    mp3::Mp3,
    resample::Shape,
    segments::{BLOCK, Segments},
    workers::{Form, Workers},
};
use crate::protocol::Job;
use ffmpeg_next::{Packet, frame};

/// Takes frames, writes an MP3.
pub(super) struct Encoder {
    shape: Shape,
    /// What samples are multiplied by.
    gain: Option<f32>,
    lames: Lames,
    mp3: Mp3,
    /// One plane for each channel: samples that do not fill a frame yet.
    waiting: Vec<Vec<u8>>,
    /// Samples in one MP3 frame.
    step: usize,
    /// Samples that are encoded together.
    unit: usize,
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
        gain: Option<f32>,
        first: &frame::Audio,
        mp3: Mp3,
    ) -> Result<Self, Stop> {
        let shape = Shape::of(first);
        let tuning = Tuning::of(&job.options, job.serial);
        let lame = Lame::open(tuning, shape, 0)?;
        let step = lame.step();
        let Shape { format, rate, .. } = shape;
        let channels = shape.layout.channels();
        let unit = if workers.is_empty() { step } else { step * BLOCK as usize };
        let lames = if workers.is_empty() {
            Lames::One(Box::new(lame))
        } else {
            Lames::Several(Segments::new(workers, Form { tuning, format, channels, rate, step })?)
        };
        let planes = usize::try_from(channels).unwrap_or(2);
        let waiting = vec![Vec::new(); planes];
        Ok(Self { shape, gain, lames, mp3, waiting, step, unit, samples: 0 })
    }

    /// Encodes as many whole units as what waits and `frame` make.
    pub(super) fn push(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        let width = self.shape.format.bytes();
        let added = frame.samples() * width;
        if added == 0 {
            return Ok(());
        }
        for (index, plane) in self.waiting.iter_mut().enumerate() {
            let before = plane.len();
            plane.extend_from_slice(frame.data(index).get(..added).ok_or(Stop::Memory)?);
            if let Some(gain) = self.gain {
                loudness::amplify(&mut plane[before..], gain);
            }
        }
        let have = self.waiting.first().map_or(0, Vec::len) / width;
        let whole = have - have % self.unit;
        self.encode(whole)?;
        for plane in &mut self.waiting {
            plane.drain(..whole * width);
        }
        Ok(())
    }

    /// Encodes the first `count` samples of what waits.
    fn encode(&mut self, count: usize) -> Result<(), Stop> {
        self.samples += count as u64;
        let (mp3, waiting) = (&mut self.mp3, &self.waiting);
        match &mut self.lames {
            Lames::One(lame) => {
                for start in (0..count).step_by(self.step) {
                    lame.encode(waiting, start..count.min(start + self.step))?;
                    write_all(lame, mp3)?;
                }
                Ok(())
            }
            Lames::Several(segments) => {
                let bytes = 0..count * self.shape.format.bytes();
                segments.push(waiting, bytes, &mut |packet| write(&packet, mp3))
            }
        }
    }

    /// Encodes the rest and completes the file; milliseconds of sound.
    pub(super) fn finish(mut self) -> Result<u64, Stop> {
        let rest = self.waiting.first().map_or(0, Vec::len) / self.shape.format.bytes();
        if rest > 0 {
            self.encode(rest)?;
        }
        let Self { lames, mut mp3, samples, .. } = self;
        match lames {
            Lames::One(mut lame) => {
                lame.end()?;
                write_all(&mut lame, &mut mp3)?;
            }
            Lames::Several(segments) => segments.finish(&mut |packet| write(&packet, &mut mp3))?,
        }
        mp3.finish(|all| {
            Some(Silence { delay: DELAY, padding: all.saturating_sub(DELAY + samples) })
        })?;
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
