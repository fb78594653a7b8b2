//! Everything that is written for people: results to standard output, all else to standard error.
//! On a terminal progress is a bar; anywhere else it is a plain line now and then.

use crate::{error::Error, unit};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use std::{
    fmt::Display,
    io::{self, BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Between two plain lines about the same thing.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Where people read.
#[derive(Clone)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    live: bool,
    /// The line below all bars.
    footer: Arc<OnceLock<ProgressBar>>,
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
        // Tests never ask, wherever they are run.
        let live = !cfg!(test) && io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, live, footer: Arc::default() }
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

    /// Writes a line below all bars; off a terminal there is none.
    pub(crate) fn footer(&self, text: impl Into<String>) {
        let style = || {
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let new = || self.bars.add(ProgressBar::new_spinner().with_style(style()));
        self.footer.get_or_init(new).set_message(text.into());
    }

    /// Takes the line below all bars away.
    pub(crate) fn unfooter(&self) {
        if let Some(footer) = self.footer.get() {
            footer.finish_and_clear();
        }
    }

    /// Whether somebody is there to answer.
    pub(crate) fn is_attended(&self) -> bool {
        self.live && io::stdin().is_terminal()
    }

    /// Asks a question; none when nobody is there to answer.
    pub(crate) async fn confirm(&self, question: impl Display) -> Option<bool> {
        let answer = self.ask(format!("{question} [y/N] ")).await?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Asks whether to do what cannot be undone; `yes` is the answer given beforehand.
    pub(crate) async fn insist(&self, yes: bool, question: impl Display) -> Result<(), Error> {
        if yes {
            return Ok(());
        }
        match self.confirm(&question).await {
            Some(true) => Ok(()),
            Some(false) => Err(Error::failed("nothing was done")),
            None => Err(Error::Usage(format!("{question} Nobody is here to answer; -y does it"))),
        }
    }

    /// Asks for a line; none when nobody is there to answer.
    pub(crate) async fn ask(&self, prompt: impl Display) -> Option<String> {
        if !self.is_attended() {
            return None;
        }
        self.bars.suspend(|| drop(write!(io::stderr().lock(), "{prompt}")));
        let unanswered = Unanswered;
        let line = stdin_line().await;
        std::mem::forget(unanswered);
        line
    }

    /// Asks for a line that nobody may see; none when nobody is there to answer.
    pub(crate) async fn ask_secret(&self, prompt: impl Display) -> Option<SecretString> {
        let _silence = self.is_attended().then(Silence::begin);
        let answer = self.ask(prompt).await?;
        // The user's own newline was not shown either.
        self.note("");
        Some(answer.into())
    }

    /// Starts a bar.
    pub(crate) fn bar(&self, label: impl Into<String>, scale: Scale) -> Bar {
        let label = label.into();
        let (length, template) = match scale {
            Scale::Bytes(length) => (
                length,
                "[{bar:20}] {decimal_bytes:>9} of {decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}",
            ),
            Scale::Percent => (100, "[{bar:20}] {pos:>3} %  {prefix}{wide_msg}"),
        };
        // The template is a constant; a bar in the default style is better than none.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length)
            .with_style(style.progress_chars("=> "))
            .with_message(label.clone());
        let bar = match self.footer.get() {
            Some(footer) => self.bars.insert_before(footer, bar),
            None => self.bars.add(bar),
        };
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

    /// Shows how fast it goes, as a multiple of real time, and the seconds that are left.
    pub(crate) fn go_at(&self, speed: Option<f64>, seconds_left: Option<u64>) {
        let pace = speed.zip(seconds_left);
        self.0.bar.set_prefix(pace.map_or_else(String::new, |(speed, seconds)| {
            format!("{speed:.0}x, {} left  ", unit::clock(seconds))
        }));
    }

    /// Says something beside the bar, for as long as it is true.
    pub(crate) fn remark(&self, text: impl Into<String>) {
        let text = text.into();
        let label = &self.0.label;
        let message = if text.is_empty() { label.clone() } else { format!("{label}: {text}") };
        if !self.0.terminal.live && !text.is_empty() && self.0.bar.message() != message {
            self.0.terminal.note(&message);
        }
        self.0.bar.set_message(message);
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

/// One line of standard input, without its end; none where there is no more. Whoever waits for it can
/// be called off.
pub(crate) async fn stdin_line() -> Option<String> {
    let read = || {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// A question that was called off: what follows begins a line of its own.
struct Unanswered;

impl Drop for Unanswered {
    fn drop(&mut self) {
        let _ = writeln!(io::stderr().lock());
    }
}

/// The terminal shows nothing of what is typed, until this is dropped: also by a signal.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Writes why the process ends without success.
pub(crate) fn complain(error: impl Display) {
    let _ = writeln!(io::stderr().lock(), "audio-converter: {error}");
}
