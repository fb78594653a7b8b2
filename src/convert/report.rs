//! What `convert` tells of each file as it ends, and of all of them at the end.

use super::plan::Item;
use crate::{command::Context, error::Error, target::Existing, unit};
use domain::ConversionId;
use serde_json::json;
use std::time::{Duration, Instant};

/// How one file ended.
pub(super) enum End {
    /// Its MP3 is there.
    Converted(Done),
    /// Its MP3 was there before.
    Skipped,
}

/// What is known of a new MP3.
pub(super) struct Done {
    /// Bytes.
    pub(super) length: u64,
    /// Of sound.
    pub(super) seconds: Option<u64>,
    /// The server's name for it.
    pub(super) conversion: Option<ConversionId>,
}

/// Counts and tells.
pub(super) struct Report<'a> {
    context: &'a Context,
    began: Instant,
    all: usize,
    /// -n: who asks for silence about existing files gets it.
    quiet: bool,
    converted: usize,
    skipped: usize,
    failed: Vec<Error>,
}

impl<'a> Report<'a> {
    /// Of `all` files nothing is known yet.
    pub(super) fn new(context: &'a Context, all: usize, existing: Existing) -> Self {
        let (began, quiet) = (Instant::now(), existing.no);
        let report =
            Self { context, began, all, quiet, converted: 0, skipped: 0, failed: Vec::new() };
        report.count();
        report
    }

    /// One file has ended.
    pub(super) fn ended(&mut self, item: &Item, end: Result<End, Error>) {
        if self.context.json {
            self.context.terminal.say(line(item, &end));
        }
        let (video, mp3) = (unit::path(&item.video), unit::path(&item.mp3));
        match end {
            Ok(End::Converted(done)) => {
                self.converted += 1;
                let size = unit::bytes(done.length);
                let time =
                    done.seconds.map(|s| format!(", {}", unit::clock(s))).unwrap_or_default();
                self.say(format!("{video} -> {mp3}  {size}{time}"));
            }
            Ok(End::Skipped) => {
                self.skipped += 1;
                if !self.quiet {
                    self.say(format!("{video} -> {mp3}  skipped, it is there (-y replaces it)"));
                }
            }
            // Of the others each names its file.
            Err(Error::Client(error)) if self.all > 1 => {
                self.context.terminal.note(format!("audio-converter: {video}: {error}"));
                self.failed.push(Error::Client(error));
            }
            Err(error) => self.fault(error),
        }
        self.count();
    }

    /// Something failed. Of several each is told as it comes.
    pub(super) fn fault(&mut self, error: Error) {
        if self.all > 1 && !matches!(error, Error::Interrupted) {
            self.context.terminal.note(format!("audio-converter: {error}"));
        }
        self.failed.push(error);
    }

    /// Everything has ended; returns what failed.
    pub(super) fn finish(self) -> Vec<Error> {
        if self.all == 0 {
            self.context
                .terminal
                .note("There are no videos. Files of other kinds can be named themselves.");
        } else if self.all > 1 {
            self.context.terminal.unfooter();
            let time = unit::time(Duration::from_millis(self.began.elapsed().as_millis() as u64));
            self.context.terminal.note(format!("{} in {time}", self.counts()));
        }
        self.failed
    }

    fn say(&self, text: String) {
        if !self.context.json {
            self.context.terminal.say(text);
        }
    }

    fn count(&self) {
        if self.all > 1 {
            let ended = self.converted + self.skipped + self.failed.len();
            self.context.terminal.footer(format!("{ended} of {}: {}", self.all, self.counts()));
        }
    }

    fn counts(&self) -> String {
        let lost = |error: &&Error| matches!(error, Error::Interrupted);
        let interrupted = self.failed.iter().filter(lost).count();
        let others = [
            (self.skipped, "skipped"),
            (self.failed.len() - interrupted, "failed"),
            (interrupted, "called off"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let others: String = others.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{} converted{others}", self.converted)
    }
}

/// The line for scripts (docs/cli.md).
fn line(item: &Item, end: &Result<End, Error>) -> serde_json::Value {
    let (state, done, error) = match end {
        Ok(End::Converted(done)) => ("succeeded", Some(done), None),
        Ok(End::Skipped) => ("skipped", None, None),
        Err(Error::Interrupted) => ("cancelled", None, None),
        Err(error) => ("failed", None, Some(error)),
    };
    json!({
        "video": item.video.to_string_lossy(),
        "mp3": item.mp3.to_string_lossy(),
        "state": state,
        "length": done.map(|done| done.length),
        "seconds": done.and_then(|done| done.seconds),
        "conversion": done.and_then(|done| done.conversion),
        "error": error.map(|error| match error {
            Error::Video { code, message, .. } => json!({"code": code, "message": message}),
            error => json!({"code": error.code(), "message": error.to_string()}),
        }),
    })
}
