//! The sound of a video: which track it is, and its decoded frames in order.

use super::{
    Stop, facts,
    libav::{self, Track},
    limits, tags, track,
    video::Video,
};
use crate::protocol::Job;
use domain::{Moment, Options, Origin, Reason};
use ffmpeg_next::{
    Dictionary, Error, Packet, Rational, codec,
    codec::packet::side_data,
    decoder,
    error::{EAGAIN, EINVAL, ENOMEM},
    format::context::Input,
    frame,
};

/// Times that a demuxer may ask to be called again without giving anything.
const PATIENCE: u32 = 1000;

/// One track, being decoded.
pub(super) struct Sound {
    input: Input,
    origin: Origin,
    track: usize,
    /// Read already, and not decoded yet.
    first: Option<Packet>,
    decoder: decoder::Audio,
    /// Microseconds of sound given, silence included.
    given_us: u64,
    /// Where the file says that the track ends, in nanoseconds, where that can be relied on.
    ends: Option<i64>,
    /// Milliseconds that are wanted, where the file or the order says so.
    duration_ms: Option<u64>,
    ended: bool,
}

impl Sound {
    /// Opens the track that is asked for, or else the one that the `ffmpeg` command would take.
    ///
    /// What is known to be `broken` is read no further than its head, unless that was asked for.
    pub(super) fn open(video: Video, job: &Job, broken: Option<&str>) -> Result<Self, Stop> {
        let mut input = libav::open(video)?;
        if let (Some(how), false) = (broken, job.options.allow_truncated) {
            return Err(Stop::failed(Reason::Truncated, how));
        }
        // Shapes that the head of the file tells are judged before anything is decoded: at one
        // sample a second, looking alone takes hundreds of megabytes.
        track::check_shapes(&libav::tracks(&input))?;
        libav::look(&mut input)?;
        let tracks = libav::tracks(&input);
        let track = track::choose(&tracks, job.options.track)?;
        let indexed = libav::indexed(&mut input, track.index);
        if indexed > job.length && !job.options.allow_truncated {
            let how = format!("its index names byte {indexed} of {}", job.length);
            return Err(Stop::failed(Reason::Truncated, how));
        }
        libav::keep_only(&mut input, track.index);
        // Looking decodes too, and what it makes of encrypted sound is any shape: that comes first.
        let first = next_packet(&mut input, track.index)?;
        if first.as_ref().is_some_and(is_encrypted) {
            return Err(encrypted());
        }
        track::check_shapes(&[track])?;
        let duration_ms = duration(&input, track.index);
        if let Some(ms) = duration_ms {
            limits::check_duration(ms)?;
        }
        let end = job.options.end.map(Moment::ms);
        let duration_ms = duration_ms.into_iter().chain(end).min();
        let decoder = open_decoder(&input, track)?;
        let origin = facts::origin(input.format().name(), &tracks, track);
        let track = track.index;
        let ends = declared_end(&input, track);
        Ok(Self {
            input,
            origin,
            track,
            first,
            decoder,
            given_us: 0,
            ends,
            duration_ms,
            ended: false,
        })
    }

    /// Decodes the next frame; false at the end. What cannot be decoded is passed over.
    pub(super) fn next(&mut self, frame: &mut frame::Audio) -> Result<bool, Stop> {
        loop {
            match self.decoder.receive_frame(frame) {
                Ok(()) if frame.samples() > 0 => return check(frame).map(|()| true),
                Ok(()) => {}
                Err(Error::Eof) => return Ok(false),
                Err(Error::Other { errno: ENOMEM }) => return Err(Stop::Memory),
                Err(_) if self.ended => return Ok(false),
                Err(_) => self.feed()?,
            }
        }
    }

    /// What the file says of itself.
    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What the MP3 is to say of itself.
    pub(super) fn tag(&self, options: &Options) -> Vec<u8> {
        tags::of(&self.input, self.track, options)
    }

    /// When the first of all the file's tracks begins, in nanoseconds.
    pub(super) fn start(&self) -> Option<i64> {
        libav::start(&self.input).map(|us| us.saturating_mul(1000))
    }

    /// When a frame begins, in nanoseconds.
    pub(super) fn time_of(&self, frame: &frame::Audio) -> Option<i64> {
        let base = self.decoder.packet_time_base();
        frame.timestamp().map(|at| nanoseconds(at, base))
    }

    /// Where the file says that the track ends, in nanoseconds, where that can be relied on.
    pub(super) const fn declared_end(&self) -> Option<i64> {
        self.ends
    }

    /// Counts a frame that has been given, of sound or of silence.
    pub(super) fn count(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        self.given_us += frame.samples() as u64 * 1_000_000 / u64::from(frame.rate());
        limits::check_duration(self.given_us / 1000)
    }

    /// Gives the decoder its next packet, or tells it that there is none.
    fn feed(&mut self) -> Result<(), Stop> {
        let packet = match self.first.take() {
            Some(packet) => Some(packet),
            None => next_packet(&mut self.input, self.track)?,
        };
        if let Some(packet) = packet {
            return self.send(&packet);
        }
        self.ended = true;
        // Only a decoder that has ended already refuses; then there is nothing to flush.
        let _ = self.decoder.send_eof();
        Ok(())
    }

    fn send(&mut self, packet: &Packet) -> Result<(), Stop> {
        if is_encrypted(packet) {
            return Err(encrypted());
        }
        match self.decoder.send_packet(packet) {
            Err(Error::Other { errno: ENOMEM }) => Err(Stop::Memory),
            _ => Ok(()),
        }
    }

    /// Milliseconds of sound given, silence included.
    pub(super) const fn given_ms(&self) -> u64 {
        self.given_us / 1000
    }

    /// How far it is, 0 to 99: by time where the file tells its duration, else by bytes read.
    pub(super) fn percent(&self, read: u64, length: u64) -> u8 {
        let (done, all) = match self.duration_ms {
            Some(ms) if ms > 0 => (self.given_us / 1000, ms),
            _ => (read, length),
        };
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(0);
        u8::try_from(percent.min(99)).unwrap_or(99)
    }
}

/// The track's next packet; `None` at the end. Like the `ffmpeg` command: a file that breaks off ends
/// there.
fn next_packet(input: &mut Input, track: usize) -> Result<Option<Packet>, Stop> {
    for _ in 0..PATIENCE {
        let mut packet = Packet::empty();
        match packet.read(input) {
            Ok(()) if packet.stream() == track => return Ok(Some(packet)),
            Ok(()) | Err(Error::Other { errno: EAGAIN }) => {}
            Err(Error::Other { errno: ENOMEM }) => return Err(Stop::Memory),
            Err(_) => break,
        }
    }
    Ok(None)
}

fn check(frame: &frame::Audio) -> Result<(), Stop> {
    let rate = i32::try_from(frame.rate()).unwrap_or(-1);
    limits::check_shape(rate, frame.channels().into())?;
    if rate == 0 || frame.channels() == 0 {
        return Err(Stop::failed(Reason::NotMedia, "sound without a sample rate or channels"));
    }
    Ok(())
}

/// A time in units of `base`.
fn nanoseconds(time: i64, base: Rational) -> i64 {
    let units = i128::from(time) * i128::from(base.numerator()) * 1_000_000_000;
    let time = units / i128::from(base.denominator().max(1));
    i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

fn is_encrypted(packet: &Packet) -> bool {
    packet.side_data().any(|data| data.kind() == side_data::Type::EncryptionInfo)
}

fn encrypted() -> Stop {
    Stop::failed(Reason::Encrypted, "its packets are encrypted")
}

fn open_decoder(input: &Input, track: Track) -> Result<decoder::Audio, Stop> {
    let stream = input
        .stream(track.index)
        .ok_or_else(|| Stop::Trouble("the chosen track is gone".to_owned()))?;
    let unsupported = |what: &str| Stop::failed(Reason::UnsupportedFormat, what);
    let id = stream.parameters().id();
    if id == codec::Id::None {
        return Err(unsupported("its sound has an unknown codec"));
    }
    let codec =
        decoder::find(id).ok_or_else(|| unsupported("there is no decoder for its sound"))?;
    let context = codec::Context::from_parameters(stream.parameters());
    let mut decoder =
        context.map_err(|error| Stop::trouble("no decoder context", error))?.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let mut options = Dictionary::new();
    options.set("codec_whitelist", &limits::CODECS);
    let opened = decoder.open_as_with(codec, options).and_then(decoder::Opened::audio);
    opened.map_err(|error| match error {
        Error::Other { errno: ENOMEM } => Stop::Memory,
        Error::Other { errno: EINVAL } => unsupported(&format!("its sound is {}", codec.name())),
        error => Stop::failed(Reason::NotMedia, format!("{}: {error}", codec.name())),
    })
}

/// Where the track ends by the file's own count of its samples, in nanoseconds. Other formats round
/// it, count their pictures too, or guess.
fn declared_end(input: &Input, track: usize) -> Option<i64> {
    let exact = limits::COUNTED.contains(&input.format().name()) && libav::tells_duration(input);
    let stream = input.stream(track).filter(|stream| exact && stream.duration() > 0)?;
    let start = Some(stream.start_time()).filter(|start| *start > 0).unwrap_or(0);
    Some(nanoseconds(start.saturating_add(stream.duration()), stream.time_base()))
}

/// Milliseconds of sound, where the file says so.
fn duration(input: &Input, track: usize) -> Option<u64> {
    if !libav::tells_duration(input) {
        return None;
    }
    let stream = input.stream(track)?;
    let own = Some(stream.duration()).filter(|duration| *duration > 0).map(|duration| {
        let base = stream.time_base();
        i128::from(duration) * 1000 * i128::from(base.numerator())
            / i128::from(base.denominator().max(1))
    });
    // The container's duration is in microseconds.
    let ms = own.unwrap_or_else(|| i128::from(input.duration()) / 1000);
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}
