//! `converter-job local` against the ffmpeg command line with the same settings.

use crate::{
    Result, program,
    report::Row,
    server::{cpu_seconds_of_ended_children, status_mb},
};
use anyhow::ensure;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Pairs measured; the first of them warms the caches of both sides alike.
const PAIRS: usize = 5;

/// Half an hour of video with music-like sound.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let film = film(folder.path())?;
    let mut rows = Vec::new();
    for (preset, settings) in [("v2", ["-q:a", "2"]), ("192", ["-b:a", "192k"])] {
        let (mut walls, mut processors, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..PAIRS {
            let (ours, theirs) = (ours(&film, preset)?, ffmpeg(&film, settings)?);
            walls.push((ours.wall, theirs.wall));
            processors.push((ours.processor, theirs.processor));
            peak = peak.max(ours.peak_mb);
        }
        let name = |what: &str| format!("30 minutes, {preset}: {what}");
        rows.push(Row::of_pairs(&name("wall"), &walls, 0.58, "s"));
        rows.push(Row::of_pairs(&name("processor time"), &processors, 1.08, "s"));
        rows.push(Row::of_limit(&name("peak of both processes"), peak, 120.0, "MB"));
    }
    Ok(rows)
}

/// What one run took.
struct Took {
    wall: f64,
    /// Seconds, of all its processes.
    processor: f64,
    /// The sum of the peaks of the process and its children.
    peak_mb: f64,
}

/// One minute made, then repeated without encoding it again: 30 minutes at about 4 Mbit/s.
fn film(folder: &Path) -> Result<PathBuf> {
    let (minute, film) = (folder.join("minute.mp4"), folder.join("film.mp4"));
    let music = "aevalsrc='0.3*sin(440*2*PI*t)*sin(3*t)+0.2*sin(660*2*PI*t+2*sin(5*t))|0.3*sin(554*2*PI*t)*cos(2*t)+0.2*sin(110*2*PI*t)':d=60:s=48000";
    run(Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25:duration=60",
        ])
        .args(["-f", "lavfi", "-i", music])
        .args(["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2:d=60:r=48000"])
        .args(["-filter_complex", "[1][2]amix=inputs=2[a]", "-map", "0:v", "-map", "[a]"])
        .args(["-c:v", "mpeg4", "-b:v", "4M", "-c:a", "aac", "-b:a", "160k", "-ac", "2"])
        .arg(&minute))?;
    run(Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-stream_loop", "29", "-i"])
        .arg(&minute)
        .args(["-c", "copy"])
        .arg(&film))?;
    Ok(film)
}

fn ours(film: &Path, preset: &str) -> Result<Took> {
    let out = film.with_extension("ours.mp3");
    timed(
        Command::new(program("converter-job"))
            .arg("local")
            .arg(film)
            .arg(&out)
            .args(["--preset", preset]),
        &out,
    )
}

fn ffmpeg(film: &Path, settings: [&str; 2]) -> Result<Took> {
    let out = film.with_extension("peer.mp3");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(film).args([
        "-vn",
        "-c:a",
        "libmp3lame",
    ]);
    timed(command.args(settings).arg(&out), &out)
}

fn timed(command: &mut Command, out: &Path) -> Result<Took> {
    let (start, before, mut peaks) =
        (Instant::now(), cpu_seconds_of_ended_children()?, HashMap::new());
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        note_peaks(child.id(), &mut peaks);
        thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?}: {status}");
    ensure!(out.metadata()?.len() > 1 << 20, "{} is too small", out.display());
    std::fs::remove_file(out)?;
    let processor = cpu_seconds_of_ended_children()? - before;
    Ok(Took { wall, processor, peak_mb: peaks.values().sum() })
}

/// Peaks so far, of a process and its children.
fn note_peaks(process: u32, peaks: &mut HashMap<u32, f64>) {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    for process in std::iter::once(process).chain(children) {
        if let Ok(peak) = status_mb(process, "VmHWM:") {
            peaks.insert(process, peak);
        }
    }
}

fn run(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
