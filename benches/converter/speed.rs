//! How long half an hour of video takes, and how many videos an hour a whole node converts.

use super::run::{Took, done, ffmpeg, film, moviepy, ours, stream_copy};
use crate::{Result, report::Row};
use std::{num::NonZero, path::Path, process::Command, thread, time::Instant};

/// Pairs measured; the first of them warms the caches of both sides alike.
const PAIRS: usize = 5;
const PICTURES: &str = "-c:v mpeg4 -b:v 4M";

pub(crate) fn against_ffmpeg() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let film = film(folder.path(), "film.mp4", 30, PICTURES)?;
    let mut rows = Vec::new();
    for (preset, settings) in [("v2", ["-q:a", "2"]), ("192", ["-b:a", "192k"])] {
        let peer = || ffmpeg(&film, &settings);
        rows.extend(pairs(&film, preset, peer, &[Some(0.58), Some(1.08), Some(120.0)])?);
    }
    Ok(rows)
}

/// MP3 that passes through, out of a film and out of a file of its own.
pub(crate) fn copies() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let film = film(folder.path(), "film.mp4", 30, PICTURES)?;
    let mut rows = Vec::new();
    for (name, pictures) in [("film.mkv", "copy"), ("plain.mp3", "none")] {
        let source = folder.path().join(name);
        let mut make = Command::new("ffmpeg");
        make.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(&film);
        make.args(if pictures == "copy" { ["-c:v", "copy"].as_slice() } else { &["-vn"] });
        done(make.args(["-c:a", "libmp3lame", "-b:a", "192k"]).arg(&source))?;
        let mut walls = Vec::new();
        for _ in 0..PAIRS {
            let ours = ours(&source, &["--preset", "copy"])?;
            walls.push((ours.wall, stream_copy(&source)?.wall));
        }
        let name = format!("30 minutes of MP3 in {name}, copied: wall");
        rows.push(Row::of_pairs(&name, &walls, 1.5, "s"));
    }
    Ok(rows)
}

/// At MoviePy's own settings, 128 kbit/s.
pub(crate) fn against_moviepy() -> Result<Vec<Row>> {
    done(&mut Command::new("benches/moviepy"))?;
    let folder = tempfile::tempdir()?;
    let film = film(folder.path(), "film.mp4", 30, PICTURES)?;
    pairs(&film, "128", || moviepy(&film), &[Some(0.55), None, None])
}

/// Rows for wall, processor time and peak, as far as they have goals.
fn pairs(
    film: &Path,
    preset: &str,
    peer: impl Fn() -> Result<Took>,
    goals: &[Option<f64>; 3],
) -> Result<Vec<Row>> {
    let (mut walls, mut processors, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..PAIRS {
        let (ours, theirs) = (ours(film, &["--preset", preset, "--threads", "2"])?, peer()?);
        walls.push((ours.wall, theirs.wall));
        processors.push((ours.processor, theirs.processor));
        peak = peak.max(ours.peak_mb);
    }
    let name = |what: &str| format!("30 minutes, {preset}: {what}");
    let [wall, processor, memory] = goals;
    let rows = [
        wall.map(|goal| Row::of_pairs(&name("wall"), &walls, goal, "s")),
        processor.map(|goal| Row::of_pairs(&name("processor time"), &processors, goal, "s")),
        memory.map(|goal| Row::of_limit(&name("peak of both processes"), peak, goal, "MB")),
    ];
    Ok(rows.into_iter().flatten().collect())
}

/// As many conversions at a time as there are cores, of one thread each, on both sides.
pub(crate) fn full_node() -> Result<Vec<Row>> {
    const MINUTES: u32 = 5;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let folder = tempfile::tempdir()?;
    let mut films = Vec::new();
    for number in 0..cores {
        films.push(film(folder.path(), &format!("{number}.mp4"), MINUTES, PICTURES)?);
    }
    let an_hour = |convert: &(dyn Fn(&Path) -> Result<Took> + Sync)| -> Result<f64> {
        let start = Instant::now();
        thread::scope(|scope| {
            let runs: Vec<_> = films.iter().map(|film| scope.spawn(|| convert(film))).collect();
            let mut ended = runs.into_iter().map(thread::ScopedJoinHandle::join);
            ended.try_for_each(|ended| {
                ended.unwrap_or_else(|_| anyhow::bail!("a run panicked")).map(drop)
            })
        })?;
        Ok(3600.0 * films.len() as f64 / start.elapsed().as_secs_f64())
    };
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let ours = an_hour(&|film| ours(film, &["--threads", "1"]))?;
        pairs.push((ours, an_hour(&|film| ffmpeg(film, &["-q:a", "2"]))?));
    }
    // More is better here: the peer's share of ours.
    let mut row = Row::of_pairs("videos of 5 minutes in an hour, v2", &pairs, 1.0, "videos");
    row.ratio = row.ratio.map(|ratio| 1.0 / ratio);
    row.goal = 1.08;
    Ok(vec![row])
}
