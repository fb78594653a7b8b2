//! From frames of LAME's shape to an MP3 file.

use super::{
    Stop,
    lame::{Lame, Tuning},
    loudness,
    mp3::Mp3,
    resample::Shape,
    segments::Segments,
    workers::{Form, Workers},
};
use crate::protocol::Job;
use ffmpeg_next::{
    Dictionary, Packet, Rational,
    format::{
        self,
        context::{Output, StreamIo},
    },
    frame,
};

/// Bytes gathered by the muxer.
const BUFFER: usize = 64 << 10;

/// Takes frames, writes an MP3.
pub(super) struct Encoder {
    shape: Shape,
    /// What samples are multiplied by.
    gain: Option<f32>,
    lames: Lames,
    mp3: Mp3File,
    /// One plane for each channel: samples that do not fill a frame yet.
    waiting: Vec<Vec<u8>>,
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

/// The file that the packets go into.
struct Mp3File {
    output: Output,
    rate: u32,
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
        let (step, mp3) = (lame.step(), Mp3File::open(&lame, shape.rate, mp3)?);
        let Shape { format, rate, .. } = shape;
        let channels = shape.layout.channels();
        let lames = if workers.is_empty() {
            Lames::One(Box::new(lame))
        } else {
            Lames::Several(Segments::new(workers, Form { tuning, format, channels, rate, step })?)
        };
        let planes = usize::try_from(channels).unwrap_or(2);
        let waiting = vec![Vec::new(); planes];
        Ok(Self { shape, gain, lames, mp3, waiting, step, samples: 0 })
    }

    /// Encodes as many whole frames as what waits and `frame` make.
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
        let whole = have - have % self.step;
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
                    mp3.write_all(lame)?;
                }
                Ok(())
            }
            Lames::Several(segments) => {
                let bytes = 0..count * self.shape.format.bytes();
                segments.push(waiting, bytes, &mut |packet| mp3.write(packet))
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
                mp3.write_all(&mut lame)?;
            }
            Lames::Several(segments) => segments.finish(&mut |packet| mp3.write(packet))?,
        }
        mp3.finish()?;
        Ok(samples * 1000 / u64::from(self.shape.rate))
    }
}

impl Mp3File {
    fn open(lame: &Lame, rate: u32, mp3: Mp3) -> Result<Self, Stop> {
        let trouble = |error| Stop::trouble("the MP3 cannot be begun", error);
        let io = StreamIo::from_write_seek_with_capacity(mp3, BUFFER).map_err(trouble)?;
        let mut output = format::output_to_stream(io, None, Some("mp3")).map_err(trouble)?;
        let mut stream = output.add_stream_with(lame.encoder()).map_err(trouble)?;
        stream.set_time_base(Rational::new(1, rate.cast_signed()));
        // By default every packet would be passed on by itself, and a tag begun.
        let mut options = Dictionary::new();
        options.set("id3v2_version", "0");
        options.set("flush_packets", "0");
        output.write_header_with(options).map_err(trouble)?;
        Ok(Self { output, rate })
    }

    /// Writes the packets that are ready.
    fn write_all(&mut self, lame: &mut Lame) -> Result<(), Stop> {
        while let Some(packet) = lame.packet()? {
            self.write(packet)?;
        }
        Ok(())
    }

    fn write(&mut self, mut packet: Packet) -> Result<(), Stop> {
        let base = Rational::new(1, self.rate.cast_signed());
        let to = self.output.stream(0).map_or(base, |stream| stream.time_base());
        packet.set_stream(0);
        packet.rescale_ts(base, to);
        let written = packet.write(&mut self.output);
        written.map(drop).map_err(|error| Stop::trouble("the MP3 cannot be written", error))
    }

    fn finish(mut self) -> Result<(), Stop> {
        let ended = self.output.write_trailer();
        // Dropping the output sends the last bytes; an error there shows in the link.
        ended.map_err(|error| Stop::trouble("the MP3 cannot be completed", error))
    }
}
