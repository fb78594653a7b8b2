//! Everything that is written for people: results to standard output, all else to standard error.
//! On a terminal progress is a bar; anywhere else it is a plain line now and then.

use crate::unit;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt::Display,
    io::{self, BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two plain lines about the same thing.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Where people read.
#[derive(Clone)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    live: bool,
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// So many bytes in all.
    Bytes(u64),
    /// Up to 100.
    Percent,
}

/// How far one thing has come. Cheap to clone; it leaves the screen with its last clone.
#[derive(Clone)]
pub(crate) struct Bar(Arc<Inner>);

struct Inner {
    terminal: Terminal,
    bar: ProgressBar,
    label: String,
    scale: Scale,
    told: Mutex<Instant>,
}

impl Terminal {
    /// The process's terminal.
    pub(crate) fn new() -> Self {
        let live = io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), live }
    }

    /// Writes a result.
    pub(crate) fn say(&self, text: impl Display) {
        // Whoever closed our output does not want it; that is no failure of ours.
        self.bars.suspend(|| drop(writeln!(io::stdout().lock(), "{text}")));
    }

    /// Writes what is worth knowing but is no result.
    pub(crate) fn note(&self, text: impl Display) {
        self.bars.suspend(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }

    /// Asks a question; none when nobody is there to answer.
    pub(crate) fn ask(&self, question: impl Display) -> Option<bool> {
        if !self.live || !io::stdin().is_terminal() {
            return None;
        }
        let _ = write!(io::stderr().lock(), "{question} [y/N] ");
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Starts a bar.
    pub(crate) fn bar(&self, label: impl Into<String>, scale: Scale) -> Bar {
        let label = label.into();
        let (length, template) = match scale {
            Scale::Bytes(length) => (
                length,
                "{prefix} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}",
            ),
            Scale::Percent => (100, "{prefix} [{bar:30}] {pos:>3} % {wide_msg}"),
        };
        // The template is a constant; a bar in the default style is better than none.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(
            ProgressBar::new(length)
                .with_style(style.progress_chars("=> "))
                .with_prefix(label.clone()),
        );
        if self.live {
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            self.note(match scale {
                Scale::Bytes(length) => format!("{label}, {}", unit::bytes(length)),
                Scale::Percent => label.clone(),
            });
        }
        Bar(Arc::new(Inner {
            terminal: self.clone(),
            bar,
            label,
            scale,
            told: Mutex::new(Instant::now()),
        }))
    }
}

impl Bar {
    /// Shows how far it is, in the bar's unit.
    pub(crate) fn reach(&self, position: u64) {
        self.0.bar.set_position(position);
        if !self.0.terminal.live && self.0.is_due() {
            self.0.terminal.note(match self.0.scale {
                Scale::Bytes(all) => {
                    format!("{}: {} of {}", self.0.label, unit::bytes(position), unit::bytes(all))
                }
                Scale::Percent => format!("{}: {position} %", self.0.label),
            });
        }
    }

    /// Shows some more of it.
    pub(crate) fn advance(&self, step: u64) {
        self.reach(self.0.bar.position().saturating_add(step));
    }

    /// Says something beside the bar, for as long as it is true.
    pub(crate) fn remark(&self, text: impl Into<String>) {
        let text = text.into();
        if !self.0.terminal.live && !text.is_empty() && self.0.bar.message() != text {
            self.0.terminal.note(format!("{}: {text}", self.0.label));
        }
        self.0.bar.set_message(text);
    }
}

impl Inner {
    /// Whether it is time for another plain line; it counts as written.
    fn is_due(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.elapsed() >= BETWEEN_LINES;
        if due {
            *told = Instant::now();
        }
        due
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes why the process ends without success.
pub(crate) fn complain(error: impl Display) {
    let _ = writeln!(io::stderr().lock(), "audio-converter: {error}");
}
