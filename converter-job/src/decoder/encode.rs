//! From decoded frames of any shape to an MP3 file.

use super::{
    Stop, lame,
    mp3::Mp3,
    resample::{Resampler, Shape, empty},
};
use domain::Preset;
use ffmpeg_next::{
    Dictionary, Error, Packet, Rational, encoder,
    error::EAGAIN,
    format::{
        self,
        context::{Output, StreamIo},
    },
    frame,
};

/// Bytes gathered by the muxer.
const BUFFER: usize = 64 << 10;

/// Takes decoded frames, writes an MP3.
pub(super) struct Encoder {
    resampler: Option<Resampler>,
    mp3: Mp3File,
    /// One plane for each channel: samples that do not fill a frame yet.
    waiting: Vec<Vec<u8>>,
}

/// The encoder and its file.
struct Mp3File {
    encoder: encoder::audio::Encoder,
    output: Output,
    shape: Shape,
    /// Samples in one MP3 frame.
    step: usize,
    /// Samples encoded.
    samples: u64,
}

impl Encoder {
    /// An encoder that suits the first frame.
    pub(super) fn open(preset: Preset, first: &frame::Audio, mp3: Mp3) -> Result<Self, Stop> {
        let shape = lame::target(Shape::of(first));
        let mp3 = Mp3File::open(preset, shape, mp3)?;
        let planes = usize::try_from(shape.layout.channels()).unwrap_or(2);
        Ok(Self { resampler: None, mp3, waiting: vec![Vec::new(); planes] })
    }

    /// Encodes a frame. Its shape may differ from that of the frame before.
    pub(super) fn push(&mut self, frame: &mut frame::Audio) -> Result<(), Stop> {
        let shape = Shape::of(frame);
        if self.resampler.as_ref().is_some_and(|resampler| *resampler.from() != shape) {
            self.drain()?;
        }
        let resampler = match &mut self.resampler {
            Some(resampler) => resampler,
            none => none.insert(Resampler::new(shape, self.mp3.shape)?),
        };
        let (mp3, waiting) = (&mut self.mp3, &mut self.waiting);
        resampler.convert(frame, |converted| mp3.take(waiting, converted))
    }

    /// Encodes what the resampler holds.
    fn drain(&mut self) -> Result<(), Stop> {
        match self.resampler.take() {
            Some(resampler) => resampler.finish(|rest| self.mp3.take(&mut self.waiting, rest)),
            None => Ok(()),
        }
    }

    /// Encodes the rest and completes the file; milliseconds of sound.
    pub(super) fn finish(mut self) -> Result<u64, Stop> {
        self.drain()?;
        let mut mp3 = self.mp3;
        let width = mp3.shape.format.bytes();
        let rest = self.waiting.first().map_or(0, |plane| plane.len() / width);
        if rest > 0 {
            mp3.encode(&self.waiting, 0, rest)?;
        }
        mp3.finish()
    }
}

impl Mp3File {
    fn open(preset: Preset, shape: Shape, mp3: Mp3) -> Result<Self, Stop> {
        let trouble = |error| Stop::trouble("the encoder cannot be opened", error);
        let encoder = lame::open(preset, shape).map_err(trouble)?;
        let io = StreamIo::from_write_seek_with_capacity(mp3, BUFFER).map_err(trouble)?;
        let mut output = format::output_to_stream(io, None, Some("mp3")).map_err(trouble)?;
        let mut stream = output.add_stream_with(&encoder).map_err(trouble)?;
        stream.set_time_base(Rational::new(1, shape.rate.cast_signed()));
        // By default every packet would be passed on by itself.
        let mut options = Dictionary::new();
        options.set("flush_packets", "0");
        output.write_header_with(options).map_err(trouble)?;
        let step = encoder.frame_size() as usize;
        Ok(Self { encoder, output, shape, step, samples: 0 })
    }

    /// Encodes as many whole frames as `waiting` and `frame` make.
    fn take(&mut self, waiting: &mut [Vec<u8>], frame: &frame::Audio) -> Result<(), Stop> {
        let width = self.shape.format.bytes();
        let added = frame.samples() * width;
        if added == 0 {
            return Ok(());
        }
        for (index, plane) in waiting.iter_mut().enumerate() {
            plane.extend_from_slice(frame.data(index).get(..added).ok_or(Stop::Memory)?);
        }
        let have = waiting.first().map_or(0, Vec::len) / width;
        let whole = have - have % self.step;
        for start in (0..whole).step_by(self.step) {
            self.encode(waiting, start, self.step)?;
        }
        for plane in waiting {
            plane.drain(..whole * width);
        }
        Ok(())
    }

    /// Encodes `count` samples from `start` on.
    fn encode(&mut self, planes: &[Vec<u8>], start: usize, count: usize) -> Result<(), Stop> {
        let width = self.shape.format.bytes();
        let mut frame = empty(self.shape, count)?;
        for (index, plane) in planes.iter().enumerate() {
            let bytes = &plane[start * width..(start + count) * width];
            frame.data_mut(index)[..bytes.len()].copy_from_slice(bytes);
        }
        frame.set_pts(i64::try_from(self.samples).ok());
        self.samples += count as u64;
        self.encoder.send_frame(&frame).map_err(|error| Stop::trouble("encoding failed", error))?;
        self.write()
    }

    /// Writes the packets that are ready.
    fn write(&mut self) -> Result<(), Stop> {
        let base = Rational::new(1, self.shape.rate.cast_signed());
        let to = self.output.stream(0).map_or(base, |stream| stream.time_base());
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(()),
                Err(error) => return Err(Stop::trouble("encoding failed", error)),
            }
            packet.set_stream(0);
            packet.rescale_ts(base, to);
            packet
                .write(&mut self.output)
                .map_err(|error| Stop::trouble("the MP3 cannot be written", error))?;
        }
    }

    fn finish(mut self) -> Result<u64, Stop> {
        let trouble = |error| Stop::trouble("the MP3 cannot be completed", error);
        self.encoder.send_eof().map_err(trouble)?;
        self.write()?;
        self.output.write_trailer().map_err(trouble)?;
        // Dropping the output sends the last bytes; an error there shows in the link.
        Ok(self.samples * 1000 / u64::from(self.shape.rate))
    }
}
