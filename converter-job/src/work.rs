//! One decoder at work: started, served with the video's bytes, its MP3 stored as it comes.
//!
//! Attempts of stored conversions and of files on this machine do the same here; they differ in
//! source and sink. The decoder has seen hostile bytes, so whatever it says is checked.

mod child;
mod made;
mod said;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use made::Made;
pub(crate) use sink::Sink;
pub(crate) use source::Source;

use crate::protocol::{Job, PATCHABLE, Request};
use child::{Child, End};
use domain::{Coding, Failure, Options, Reason};
use said::Said;
use std::{cell::Cell, num::NonZero, thread::available_parallelism, time::Duration};
use tokio::time::timeout;
use window::Window;

/// Address space of a decoder.
const MEMORY: u64 = 768 << 20;
/// Address space for each thread beyond the first: its stack, its allocator's arena, and the sound
/// that it encodes.
const MEMORY_PER_THREAD: u64 = 192 << 20;
/// Milliseconds of sound that an MP3 may have.
const LONGEST_MS: u64 = 12 * 3600 * 1000;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) options: Options,
    /// From now on.
    pub(crate) run_limit: Duration,
    /// That may encode.
    pub(crate) threads: u32,
    /// Whether one thread encodes, with the bit reservoir on.
    pub(crate) serial: bool,
    /// An attempt before this one ran out of memory.
    pub(crate) more_memory: bool,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// 0 to 100.
    pub(crate) percent: u8,
    /// Milliseconds of sound.
    pub(crate) sound_ms: u64,
}

/// How the work ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// All of the MP3 has gone into the sink.
    Converted(Box<Made>),
    /// The video's fault, or its length.
    Failed(Failure),
    /// The decoder ran out of memory.
    Memory(String),
    /// Something else.
    Trouble(String),
}

/// What stops the work and is not the video's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Video, MP3 or record cannot be read or written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A file or a pipe.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The decoder does what no decoder of ours does.
    #[error("the decoder broke the rules: {0}")]
    Decoder(String),
}

/// Cores that this process may use; a container has its own number.
pub(crate) fn cores() -> u32 {
    let cores = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

impl Order {
    fn job(&self, length: u64) -> Job {
        let memory = MEMORY + MEMORY_PER_THREAD * u64::from(self.threads.saturating_sub(1));
        Job {
            options: self.options.clone(),
            length,
            run_limit_seconds: self.run_limit.as_secs(),
            memory_bytes: if self.more_memory { 2 * memory } else { memory },
            threads: self.threads,
            serial: self.serial,
        }
    }
}

/// Converts `source` into `sink`, keeping `done` up to date. Dropping the future kills the decoder.
pub(crate) async fn convert(
    order: &Order,
    source: Source,
    sink: &mut Sink,
    done: &Cell<Done>,
) -> Verdict {
    let length = source.length();
    if length == 0 {
        return Verdict::Failed(Failure { reason: Reason::EmptyFile, detail: String::new() });
    }
    match Child::start(&order.job(length)).await {
        Ok(child) => supervise(order, child, source, sink, done).await,
        Err(error) => Verdict::Trouble(format!("the decoder does not start: {error}")),
    }
}

/// Serves a decoder until it ends or its time is over.
async fn supervise(
    order: &Order,
    mut child: Child,
    source: Source,
    sink: &mut Sink,
    done: &Cell<Done>,
) -> Verdict {
    let (window, coding) = (Window::new(source), order.options.coding());
    let work = Work { window, sink, done, coding, written: 0, said: Said::default() };
    let verdict = match timeout(order.run_limit, work.serve(&mut child)).await {
        Ok(Ok(None)) => return verdict_of(child.end().await, order),
        Ok(Ok(Some(verdict))) => verdict,
        Ok(Err(error)) => Verdict::Trouble(error.to_string()),
        Err(_) => too_slow(order),
    };
    child.stop().await;
    verdict
}

fn too_slow(order: &Order) -> Verdict {
    let detail = format!("{} s were not enough", order.run_limit.as_secs());
    Verdict::Failed(Failure { reason: Reason::Deadline, detail })
}

/// What it means that the decoder ended without a word.
fn verdict_of(end: End, order: &Order) -> Verdict {
    match end {
        End::Memory(detail) => Verdict::Memory(detail),
        End::ProcessorTime => too_slow(order),
        // Tried again it would crash again, and give whoever made the video another try.
        End::Crash(detail) => Verdict::Failed(Failure { reason: Reason::NotMedia, detail }),
        End::Other(detail) => Verdict::Trouble(detail),
    }
}

struct Work<'a> {
    window: Window,
    sink: &'a mut Sink,
    done: &'a Cell<Done>,
    coding: Coding,
    /// Bytes of the MP3 so far.
    written: u64,
    said: Said,
}

impl Work<'_> {
    /// Does what the decoder asks until it is done; `None` when it ends without saying so.
    async fn serve(mut self, child: &mut Child) -> Result<Option<Verdict>, Error> {
        while let Some(request) = child.next().await? {
            match request {
                Request::Read { offset, length } => {
                    let bytes = self.window.read(offset, length as usize).await?;
                    child.answer(&bytes).await?;
                }
                Request::Append(bytes) => {
                    self.written += bytes.len() as u64;
                    self.allow(LONGEST_MS)?;
                    self.sink.append(bytes).await?;
                }
                Request::Patch { offset, bytes } => {
                    let end = offset.saturating_add(bytes.len() as u64);
                    if end > self.written.min(PATCHABLE) {
                        return Err(Error::Decoder(format!("a patch up to byte {end}")));
                    }
                    self.sink.patch(offset, bytes).await?;
                }
                Request::Progress { percent, sound_ms } => {
                    self.done.set(Done { percent, sound_ms })
                }
                Request::Notice(text) => self.said.notice(text),
                Request::Facts(facts) => self.said.facts(*facts)?,
                Request::Waveform(drawn) => self.said.drawn(*drawn)?,
                Request::Done { duration_ms, loudness } => {
                    self.allow(duration_ms)?;
                    let made = self.said.made(duration_ms, self.written, loudness)?;
                    return Ok(Some(Verdict::Converted(Box::new(made))));
                }
                Request::Failed { reason, detail } => {
                    return Ok(Some(Verdict::Failed(Failure { reason, detail })));
                }
            }
        }
        Ok(None)
    }

    /// Refuses more MP3 than so much sound can make.
    fn allow(&self, duration_ms: u64) -> Result<(), Error> {
        let most = most_bytes(self.coding, duration_ms);
        if duration_ms > LONGEST_MS || self.written > most || self.written == 0 {
            let written = self.written;
            return Err(Error::Decoder(format!("{written} bytes for {duration_ms} ms of sound")));
        }
        Ok(())
    }
}

/// The most bytes that so much sound makes: its bit rate, a twentieth, and room for tag and header.
fn most_bytes(coding: Coding, duration_ms: u64) -> u64 {
    let kilobits = match coding {
        Coding::Variable(_) => 320,
        Coding::Constant(kilobits) => kilobits.into(),
    };
    duration_ms.saturating_mul(kilobits) / 8 / 20 * 21 + PATCHABLE
}
