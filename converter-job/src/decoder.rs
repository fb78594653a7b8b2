//! The decoder: video bytes in by one pipe, MP3 bytes out by another, nothing else within reach.
//!
//! It demuxes, decodes, resamples and encodes as the `ffmpeg` command would, in constant memory.
//! Unlike it, it tells a file that is cut off from a whole one, and keeps sound in step with its
//! timestamps: small gaps become silence, but no file gets hours of it for a few bytes.

mod claims;
mod confine;
mod copy;
mod cut;
mod encode;
mod facts;
mod gaps;
mod header;
mod lame;
mod layer3;
mod libav;
mod limits;
mod link;
mod loudness;
mod mp3;
mod packets;
mod resample;
mod segments;
mod sound;
mod tags;
mod timeline;
mod track;
mod video;
mod walk;
mod waveform;
mod workers;

pub(crate) use libav::version as ffmpeg_version;

use crate::protocol::{Job, Request};
use confine::Memory;
use domain::{Exit, Preset, Reason};
use encode::Encoder;
use ffmpeg_next::{Error, error::ENOMEM};
use link::Shared;
use loudness::Meter;
use mp3::Mp3;
use packets::Packets;
use resample::Shape;
use std::{io, mem, process::ExitCode};
use video::Video;
use walk::Walk;
use waveform::Drawing;
use workers::Workers;

/// Why decoding ended before the MP3 was whole.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// The video's fault.
    Failed(Reason, String),
    /// Memory ran out.
    Memory,
    /// Anything else: the pipes, or a fault of ours.
    Trouble(String),
}

impl Stop {
    fn failed(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Failed(reason, detail.into())
    }

    /// An error of a library call that only trouble can explain.
    fn trouble(doing: &str, error: Error) -> Self {
        match error {
            Error::Other { errno: ENOMEM } => Self::Memory,
            error => Self::Trouble(format!("{doing}: {error}")),
        }
    }
}

/// Does the one job that comes through standard input.
pub(crate) fn run() -> ExitCode {
    let (link, job, memory, workers) = match start() {
        Ok(started) => started,
        Err(error) => return trouble(&format!("the decoder cannot start: {error}")),
    };
    let last = match convert(&job, &link, workers) {
        Ok(done) => done,
        Err(Stop::Failed(reason, detail)) => Request::Failed { reason, detail },
        Err(Stop::Memory) if memory.is_short() => return ExitCode::from(Exit::OutOfMemory.code()),
        // An allocation that fails while there is plenty met one of the fixed limits: the number of
        // streams, or the largest single block.
        Err(Stop::Memory) => Request::Failed {
            reason: Reason::OverLimits,
            detail: "it has too many streams, or asks for too much memory at once".to_owned(),
        },
        Err(Stop::Trouble(detail)) => return trouble(&detail),
    };
    match link.send(&last) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => trouble(&error.to_string()),
    }
}

/// Takes the job and gives up everything else. Nothing of the video has been read when it returns.
fn start() -> io::Result<(Shared, Job, Memory, Workers)> {
    confine::close_inherited()?;
    let link = Shared::open()?;
    let job = link.job()?;
    let memory = Memory::open(&job)?;
    let workers = confine::confine(&job, || Workers::start(&job))?;
    Ok((link, job, memory, workers))
}

fn trouble(detail: &str) -> ExitCode {
    eprintln!("{detail}");
    ExitCode::from(Exit::Trouble.code())
}

/// Converts the whole video; what is then to be said.
fn convert(job: &Job, link: &Shared, workers: Workers) -> Result<Request, Stop> {
    let converted = convert_linked(job, link, workers);
    // A reader that gets an error takes it for the end of the file; the pipe knows better.
    match link.fault() {
        Some(fault) => Err(Stop::Trouble(fault)),
        None => converted,
    }
}

fn convert_linked(job: &Job, link: &Shared, workers: Workers) -> Result<Request, Stop> {
    libav::prepare().map_err(|error| Stop::trouble("libav does not start", error))?;
    let mut video = Video::new(link.clone(), job.length);
    // First, since the other begins with the same bytes.
    let foreign = claims::foreign(&mut video);
    let broken = claims::broken(&mut video);
    match (decode(job, link, workers, video, broken.as_deref()), broken) {
        (Err(Stop::Failed(Reason::NotMedia, detail)), Some(how)) => Err(Stop::failed(
            Reason::Truncated,
            format!("{how}; nothing of what is there can be decoded: {detail}"),
        )),
        (Err(Stop::Failed(Reason::NotMedia, _)), None) if let Some(kind) = foreign => {
            Err(Stop::failed(Reason::UnsupportedFormat, format!("it is {kind}")))
        }
        (decoded, _) => decoded,
    }
}

/// Copies, or decodes and encodes, all that is wanted: in two walks where its loudness decides how.
fn decode(
    job: &Job,
    link: &Shared,
    workers: Workers,
    video: Video,
    broken: Option<&str>,
) -> Result<Request, Stop> {
    let (walk, length) = (Walk { job, link, broken, share: 0..100 }, video.length());
    let packets = walk.open(video)?;
    let Some(goal) = job.options.goal() else {
        let duration_ms = if job.options.preset == Preset::Copy && copy::suits(&packets)? {
            copy::copy(&walk, packets)?
        } else {
            encode(&walk, workers, packets, 1.0)?
        };
        return Ok(Request::Done { duration_ms, loudness: None });
    };
    let mut meter = None::<Meter>;
    Walk { share: 0..50, ..walk }.go(packets, &mut |_, frame| match &mut meter {
        Some(meter) => meter.push(frame),
        None => meter.insert(Meter::open(frame)?).push(frame),
    })?;
    let loudness = meter.map_or(Ok(None), |meter| meter.finish(goal))?;
    let second = Walk { share: 50..100, ..walk };
    let gain = loudness.as_ref().map_or(1.0, loudness::factor);
    let packets = second.open(Video::new(link.clone(), length))?;
    let duration_ms = encode(&second, workers, packets, gain)?;
    Ok(Request::Done { duration_ms, loudness })
}

/// Encodes one walk; milliseconds of sound.
fn encode(walk: &Walk<'_>, mut workers: Workers, packets: Packets, gain: f32) -> Result<u64, Stop> {
    let mut making = None::<(Encoder, Drawing)>;
    walk.go(packets, &mut |sound, frame| {
        let (encoder, drawing) = match &mut making {
            Some(making) => making,
            None => {
                let mp3 = Mp3::new(walk.link.clone(), sound.packets().tag(&walk.job.options));
                let encoder = Encoder::open(walk.job, mem::take(&mut workers), gain, frame, mp3)?;
                let channels = u8::try_from(Shape::of(frame).layout.channels()).unwrap_or(0);
                walk.link.tell(&sound.packets().facts(frame.rate(), channels));
                making.insert((encoder, Drawing::begin(frame)))
            }
        };
        drawing.push(frame)?;
        encoder.push(frame)
    })?;
    let Some((encoder, drawing)) = making else { return Ok(0) };
    let duration_ms = encoder.finish()?;
    walk.link.tell(&Request::Waveform(Box::new(drawing.finish(gain))));
    Ok(duration_ms)
}
