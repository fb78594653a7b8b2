//! The track of sound that is wanted: which it is, and its packets in order.

use super::{Stop, facts, libav, limits, tags, track, video::Video};
use crate::protocol::{Facts, Job, Request};
use domain::{Moment, Options, Origin, Reason};
use ffmpeg_next::{
    Error, Packet, Rational,
    codec::{self, packet::side_data},
    error::{EAGAIN, ENOMEM},
    format::{context::Input, stream::Stream},
};

/// Times that a demuxer may ask to be called again without giving anything.
const PATIENCE: u32 = 1000;

/// One track, being read.
pub(super) struct Packets {
    input: Input,
    origin: Origin,
    track: usize,
    /// Read already, and not given yet.
    first: Option<Packet>,
    /// Where the file says that the track ends, in nanoseconds, where that can be relied on.
    ends: Option<i64>,
    /// Milliseconds that are wanted, where the file or the order says so.
    duration_ms: Option<u64>,
}

impl Packets {
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
        let ends = declared_end(&input, track.index);
        let origin = facts::origin(input.format().name(), &tracks, track);
        Ok(Self { input, origin, track: track.index, first, ends, duration_ms })
    }

    /// The next packet; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Stop> {
        let packet = match self.first.take() {
            Some(packet) => Some(packet),
            None => next_packet(&mut self.input, self.track)?,
        };
        if packet.as_ref().is_some_and(is_encrypted) {
            return Err(encrypted());
        }
        Ok(packet)
    }

    /// What is known once it is sure that there is sound: of the file, and of the MP3 to come.
    pub(super) fn facts(&self, sample_rate: u32, channels: u8) -> Request {
        Request::Facts(Box::new(Facts { origin: self.origin.clone(), sample_rate, channels }))
    }

    /// The track in its container.
    pub(super) fn stream(&self) -> Result<Stream<'_>, Stop> {
        let gone = || Stop::Trouble("the chosen track is gone".to_owned());
        self.input.stream(self.track).ok_or_else(gone)
    }

    /// What the sound is coded as.
    pub(super) fn codec(&self) -> Result<codec::Id, Stop> {
        Ok(self.stream()?.parameters().id())
    }

    /// What the MP3 is to say of itself.
    pub(super) fn tag(&self, options: &Options) -> Vec<u8> {
        tags::of(&self.input, self.track, options)
    }

    /// When the first of all the file's tracks begins, in nanoseconds.
    pub(super) fn start(&self) -> Option<i64> {
        libav::start(&self.input).map(|us| us.saturating_mul(1000))
    }

    /// How much of what the file declared has not come, when its sound has ended at so many
    /// nanoseconds.
    pub(super) fn shortfall(&self, end: i64) -> Option<String> {
        let short = self.ends?.saturating_sub(end);
        let ms = short / 1_000_000;
        (short > limits::SHORTFALL).then(|| format!("{ms} ms of its sound are missing at the end"))
    }

    /// How far it is, 0 to 99: by time where the file tells its duration, else by bytes read.
    pub(super) fn percent(&self, given_ms: u64, read: u64, length: u64) -> u8 {
        let (done, all) = match self.duration_ms {
            Some(ms) if ms > 0 => (given_ms, ms),
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

/// A time in units of `base`.
pub(super) fn nanoseconds(time: i64, base: Rational) -> i64 {
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
