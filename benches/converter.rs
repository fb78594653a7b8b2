//! `converter-job local` against the ffmpeg command line with the same settings.

use crate::{Result, program, report::Row};
use anyhow::ensure;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Pairs measured; the first of them warms the caches of both sides alike.
const PAIRS: usize = 5;

/// Half an hour of video with music-like sound.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let film = film(folder.path())?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((ours(&film, "v2")?, ffmpeg(&film, ["-q:a", "2"])?));
    }
    Ok(vec![Row::of_pairs("30 minutes, v2: wall", &pairs, 1.05, "s")])
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

fn ours(film: &Path, preset: &str) -> Result<f64> {
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

fn ffmpeg(film: &Path, settings: [&str; 2]) -> Result<f64> {
    let out = film.with_extension("peer.mp3");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(film).args([
        "-vn",
        "-c:a",
        "libmp3lame",
    ]);
    timed(command.args(settings).arg(&out), &out)
}

fn timed(command: &mut Command, out: &Path) -> Result<f64> {
    let start = Instant::now();
    run(command)?;
    let took = start.elapsed().as_secs_f64();
    ensure!(out.metadata()?.len() > 1 << 20, "{} is too small", out.display());
    std::fs::remove_file(out)?;
    Ok(took)
}

fn run(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
