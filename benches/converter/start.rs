//! How soon a short video is done.

use super::run::done;
use crate::{
    Result, program,
    report::{Row, median},
};
use anyhow::ensure;
use std::{path::Path, process::Command, time::Instant};

const RUNS: usize = 11;

/// A tenth of a second holds little but the start: reading, the first decoded frames, and all that
/// comes after; so it bounds the time to the first decoded frame from above.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for (name, seconds, goal) in
        [("0.1 s of video: all", "0.1", 30.0), ("5 s of video: all", "5", 200.0)]
    {
        let video = folder.path().join("video.mp4");
        let mut make = Command::new("ffmpeg");
        make.args(["-nostdin", "-v", "error", "-y"])
            .args(["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"])
            .args(["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2:r=48000"])
            .args(["-t", seconds, "-c:v", "mpeg4", "-c:a", "aac", "-ac", "2"]);
        done(make.arg(&video))?;
        let walls = (0..RUNS).map(|_| wall(&video)).collect::<Result<_>>()?;
        rows.push(Row::of_limit(name, median(walls), goal, "ms"));
    }
    Ok(rows)
}

fn wall(video: &Path) -> Result<f64> {
    let mut convert = Command::new(program("converter-job"));
    convert.arg("local").arg(video).arg(video.with_extension("mp3"));
    let start = Instant::now();
    let output = convert.output()?;
    let wall = start.elapsed().as_secs_f64() * 1000.0;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(wall)
}
