//! One attempt of a stored conversion: claims it, has it decoded, stores the MP3 and commits the end.
//!
//! It can be killed between any two lines. Before the first byte of its MP3 there is a pending marker,
//! which names its claim; the MP3 becomes the result by one compare-and-set on that claim; its bytes
//! are deleted only when the record has refused the claim for good, and can never name them.

mod commit;
mod heartbeat;
mod settle;

use crate::{
    config::Config,
    ending::Ending,
    work::{self, Order, Sink, Source, Verdict},
};
use domain::{Change, Conversion, Failure, PendingKind, Reason};
use secrecy::ExposeSecret;
use std::{
    cell::Cell,
    future::{Future, pending},
    io::Read,
    thread,
    time::{Duration, Instant},
};
use storage::{ChangeError, Error, Storage};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// For what the attempt cannot begin without.
const ANSWER: Duration = Duration::from_secs(30);
/// Signs of life are given for so long beside what has no progress to show.
const LONGEST_SIGNS: Duration = Duration::from_secs(600);
/// That encode: each holds 30 MB of sound, and there may be as many attempts as cores.
const MOST_THREADS: u32 = 4;

/// Runs the attempt that `config` names.
pub(crate) async fn run(config: &Config, stop: CancellationToken) -> Ending {
    if config.exit_with_stdin {
        end_with_stdin(stop.clone());
    }
    let claimed = async {
        let storage = answered(Storage::open(config.storage_url.expose_secret())).await?;
        let change = Change::Claim { attempt: config.attempt };
        match timeout(ANSWER, storage.change(config.conversion, &change)).await {
            Ok(Ok(record)) => {
                Ok(Attempt { storage, record, run_limit: config.run_limit, began: Instant::now() })
            }
            Ok(Err(ChangeError::Refused(refused))) => Err(Ending::superseded(refused)),
            Ok(Err(ChangeError::Storage(error))) => Err(Ending::trouble(error)),
            Err(_) => Err(Ending::trouble("the claim was not answered")),
        }
    };
    let attempt = tokio::select! {
        attempt = claimed => attempt,
        () = stop.cancelled() => Err(interrupted()),
    };
    match attempt {
        Ok(attempt) => attempt.run(&stop).await,
        Err(ending) => ending,
    }
}

/// Cancels `stop` when standard input closes. A thread of its own: a runtime that is dropped waits
/// for its blocking tasks, and this one may never end.
fn end_with_stdin(stop: CancellationToken) {
    thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut [0; 64]), Ok(1..)) {}
        stop.cancel();
    });
}

/// What storage answers, or the trouble that it does not.
async fn answered<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Ending> {
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(Ending::trouble),
        Err(_) => Err(Ending::trouble("storage does not answer")),
    }
}

/// A claimed conversion.
struct Attempt {
    storage: Storage,
    record: Conversion,
    run_limit: Duration,
    began: Instant,
}

/// What ended the work.
enum Stopped {
    /// The decoder's end.
    Verdict(Verdict),
    /// A sign of life was refused.
    Record,
    /// A signal, or the parent's end.
    Signal,
}

impl Attempt {
    async fn run(self, stop: &CancellationToken) -> Ending {
        let (id, claim) = (self.record.id, self.record.claim);
        let trace = self.record.trace.as_ref().map(tracing::field::display);
        tracing::info!(conversion.id = %id, attempt = self.record.attempt, claim, traceparent = trace, "the attempt begins");
        let opened = tokio::select! {
            opened = self.alive_while(self.open()) => opened,
            () = stop.cancelled() => return interrupted(),
        };
        match opened {
            Ok(Some(source)) => self.convert(source, stop).await,
            Ok(None) => {
                let failure = Failure { reason: Reason::EmptyFile, detail: String::new() };
                self.alive_while(self.fail(failure)).await
            }
            Err(ending) => ending,
        }
    }

    /// The video's bytes; `None` where it has none.
    async fn open(&self) -> Result<Option<Source>, Ending> {
        let video = answered(self.storage.video(self.record.video)).await?;
        if video.length == 0 {
            return Ok(None);
        }
        let reader = answered(self.storage.open_video(video.id)).await?;
        if reader.length() != video.length {
            let (stored, accepted) = (reader.length(), video.length);
            return Err(Ending::trouble(format!(
                "{stored} bytes are stored, {accepted} were accepted"
            )));
        }
        Ok(Some(Source::Blob(reader)))
    }

    /// The MP3 of this claim, as its marker names it.
    fn file(&self) -> PendingKind {
        let (conversion, claim) = (self.record.id, self.record.claim);
        PendingKind::Mp3 { mp3: conversion.mp3(claim), conversion, claim }
    }

    async fn convert(&self, source: Source, stop: &CancellationToken) -> Ending {
        // Where this fails, the marker may be there, and the file may yet come: the sweeper's work.
        let created = answered(self.storage.create(self.file()));
        let writer = match self.alive_while(created).await {
            Ok(writer) => writer,
            Err(ending) => return ending,
        };
        let order = Order {
            options: self.record.options.clone(),
            run_limit: self.run_limit.saturating_sub(self.began.elapsed()),
            threads: work::cores().min(MOST_THREADS),
            serial: false,
            more_memory: self.record.out_of_memory,
        };
        let (mut sink, done) = (Sink::Blob(Box::new(writer)), Cell::default());
        let stopped = tokio::select! {
            verdict = work::convert(&order, source, &mut sink, &done) => Stopped::Verdict(verdict),
            () = heartbeat::beat(&self.storage, &self.record, Some(&done)) => Stopped::Record,
            () = stop.cancelled() => Stopped::Signal,
        };
        let Sink::Blob(writer) = sink else {
            return Ending::trouble("the MP3 is not in storage");
        };
        self.alive_while(self.settle(stopped, *writer)).await
    }

    /// Shows life during what is no conversion: a long MP3 is read once more before it is committed. A sign
    /// that is refused stops nothing here; what commits is refused as well. What hangs is not alive for ever.
    async fn alive_while<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = async {
                let signs = heartbeat::beat(&self.storage, &self.record, None);
                let _ = timeout(LONGEST_SIGNS, signs).await;
                pending().await
            } => never,
        }
    }
}

fn interrupted() -> Ending {
    Ending::trouble("interrupted")
}
