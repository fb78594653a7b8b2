//! A file on this machine: the same decoder and the same ends, without storage.
//!
//! The MP3, and what is told of it where that is asked for, grow in temporary files beside their places
//! and get their names when they are whole and on the disk; whatever else happens, nothing is left.

mod place;

use crate::{
    ending::Ending,
    work::{self, Done, Order, Sink, Source, Verdict},
};
use domain::{Options, Pace};
use place::Place;
use std::{
    cell::Cell,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use storage::Beside;
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
    /// Where a report of the conversion goes, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where the waveform goes, as JSON in the form of audiowaveform, version 2.
    #[arg(long, value_name = "FILE")]
    waveform: Option<PathBuf>,
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
    let (source, places) = match open(arguments) {
        Ok(files) => files,
        Err(ending) => return ending,
    };
    let mut sink = match places.mp3.reopen() {
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
        Verdict::Converted(made) => {
            let beside = made.beside(&arguments.options, began.elapsed());
            if let Err(error) = keep(sink, places, beside).await {
                return Ending::trouble(error);
            }
            if arguments.progress.is_some() {
                let _ = say(100, None);
            }
            Ending::succeeded(&made, began.elapsed())
        }
        verdict => Ending::of(&verdict),
    }
}

/// What is made, each in its place.
struct Places {
    mp3: Place,
    report: Option<Place>,
    waveform: Option<Place>,
}

fn open(arguments: &Arguments) -> Result<(Source, Places), Ending> {
    let Arguments { video, mp3, report, waveform, .. } = arguments;
    let file = File::open(video).map_err(|error| Ending::unusable(video, &error))?;
    let meta = file.metadata().map_err(|error| Ending::unusable(video, &error))?;
    if !meta.is_file() {
        return Err(Ending::unusable(video, &"it is not a file"));
    }
    let place = |path: &PathBuf| Place::open(path, &meta);
    let places = Places {
        mp3: place(mp3)?,
        report: report.as_ref().map(place).transpose()?,
        waveform: waveform.as_ref().map(place).transpose()?,
    };
    let paths = [Some(mp3), report.as_ref(), waveform.as_ref()];
    if let [a, b, c] = paths
        && [(a, b), (a, c), (b, c)].iter().any(|(a, b)| a.is_some() && a == b)
    {
        return Err(Ending::usage("MP3, report and waveform are files of their own"));
    }
    Ok((Source::File(Arc::new(file), meta.len()), places))
}

/// Puts everything in its place, the MP3 last: where it is, all is.
async fn keep(sink: Sink, places: Places, beside: serde_json::Result<Beside>) -> io::Result<()> {
    if let Sink::File(mut file) = sink {
        let written = async { file.flush().await.and(file.sync_all().await) };
        written.await.map_err(|error| places.mp3.told(error))?;
    }
    let Beside { report, waveform } = beside?;
    let texts = [(places.report, Some(report)), (places.waveform, waveform)];
    let mut whole = Vec::new();
    for (place, text) in texts {
        // Where there is no waveform nothing was decoded, and none is written.
        if let (Some(mut place), Some(text)) = (place, text) {
            place.write(&text)?;
            whole.push(place);
        }
    }
    whole.push(places.mp3);
    place::keep_all(whole)
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
