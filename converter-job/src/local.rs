//! A file on this machine: the same decoder and the same ends, without storage.
//!
//! The MP3 grows in a temporary file beside its place and gets its name when it is whole and on the
//! disk; whatever else happens, nothing is left.

use crate::{
    ending::Ending,
    work::{self, Done, Order, Sink, Source, Verdict},
};
use domain::{Options, Pace};
use std::{
    cell::Cell,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::NamedTempFile;
use tokio::{
    io::AsyncWriteExt,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// A person who waits can end it; nothing else may take longer than a day.
const RUN_LIMIT: Duration = Duration::from_hours(24);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The video.
    #[arg(value_name = "IN")]
    video: PathBuf,
    /// Where the MP3 goes.
    #[arg(value_name = "OUT")]
    mp3: PathBuf,
    #[command(flatten)]
    options: Options,
    /// Threads that encode; however many there are, they give the same MP3 [default: the cores].
    #[arg(long, default_value_t = work::cores().min(64), hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Encode on one thread, with the bit reservoir on: another MP3, and a slower one.
    #[arg(long, conflicts_with = "threads")]
    serial: bool,
    /// Tell the progress on standard output, one JSON object a line and at most one a second:
    /// {"percent":42,"speed":35.5,"seconds_left":9}.
    #[arg(long, value_name = "FORMAT")]
    progress: Option<Progress>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Progress {
    Json,
}

/// Converts the file.
pub(crate) async fn run(arguments: &Arguments, stop: CancellationToken) -> Ending {
    let began = Instant::now();
    if let Err(contradiction) = arguments.options.validate() {
        return Ending::usage(contradiction);
    }
    let (source, part) = match open(arguments) {
        Ok(files) => files,
        Err(ending) => return ending,
    };
    let mut sink = match part.reopen() {
        Ok(file) => Sink::File(file.into()),
        Err(error) => return Ending::trouble(error),
    };
    let order = Order {
        options: arguments.options.clone(),
        run_limit: RUN_LIMIT,
        threads: arguments.threads,
        serial: arguments.serial,
        more_memory: false,
    };
    let done = Cell::default();
    let verdict = tokio::select! {
        verdict = work::convert(&order, source, &mut sink, &done) => verdict,
        () = tell(arguments.progress, &done) => return Ending::trouble("nobody reads the progress"),
        () = stop.cancelled() => return Ending::interrupted(),
    };
    match verdict {
        Verdict::Converted { duration_ms, length, loudness } => {
            match keep(sink, part, &arguments.mp3).await {
                Ok(()) => {
                    if arguments.progress.is_some() {
                        let _ = say(100, None);
                    }
                    Ending::succeeded(duration_ms, length, loudness.as_ref(), began.elapsed())
                }
                Err(error) => Ending::trouble(format!("{}: {error}", arguments.mp3.display())),
            }
        }
        verdict => Ending::of(&verdict),
    }
}

fn open(arguments: &Arguments) -> Result<(Source, NamedTempFile), Ending> {
    let Arguments { video, mp3, .. } = arguments;
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        Ending::usage(format!("{}: {error}", path.display()))
    };
    let file = File::open(video).map_err(|error| unusable(video, &error))?;
    let meta = file.metadata().map_err(|error| unusable(video, &error))?;
    if !meta.is_file() {
        return Err(unusable(video, &"it is not a file"));
    }
    match fs::metadata(mp3) {
        Ok(there) if there.is_dir() => return Err(unusable(mp3, &"it is a folder")),
        Ok(there) if (there.dev(), there.ino()) == (meta.dev(), meta.ino()) => {
            return Err(unusable(mp3, &"the MP3 would replace the video"));
        }
        _ => {}
    }
    let part = tempfile::Builder::new()
        .prefix(".converter-job-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder(mp3))
        .map_err(|error| unusable(mp3, &error))?;
    Ok((Source::File(Arc::new(file), meta.len()), part))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts the whole MP3 in its place.
async fn keep(sink: Sink, part: NamedTempFile, mp3: &Path) -> io::Result<()> {
    if let Sink::File(mut file) = sink {
        file.flush().await?;
        file.sync_all().await?;
    }
    part.persist(mp3)?;
    File::open(folder(mp3))?.sync_all()
}

/// Tells the progress as it changes. Ends only when nobody listens any more.
async fn tell(progress: Option<Progress>, done: &Cell<Done>) {
    if progress.is_none() {
        return std::future::pending().await;
    }
    let mut ticks = interval(Duration::from_secs(1));
    let began = Instant::now();
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        ticks.tick().await;
        let now = done.get();
        let pace = Pace::of(began.elapsed(), now.sound_ms, now.percent);
        if told != Some(now) && say(now.percent, pace).is_err() {
            return;
        }
        told = Some(now);
    }
}

fn say(percent: u8, pace: Option<Pace>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match pace {
        Some(pace) => {
            let (speed, left) = (pace.speed(), pace.seconds_left);
            writeln!(out, "{{\"percent\":{percent},\"speed\":{speed},\"seconds_left\":{left}}}")?;
        }
        None => writeln!(out, "{{\"percent\":{percent}}}")?,
    }
    out.flush()
}
