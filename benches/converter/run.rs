//! Films, and what it takes to convert one.

use crate::{
    Result, program,
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

/// What one run took.
pub(super) struct Took {
    pub(super) wall: f64,
    /// Seconds, of all its processes.
    pub(super) processor: f64,
    /// The sum of the peaks of the process and its children.
    pub(super) peak_mb: f64,
}

/// One minute made, then repeated without encoding it again; `pictures` are encoder arguments.
pub(super) fn film(folder: &Path, name: &str, minutes: u32, pictures: &str) -> Result<PathBuf> {
    let (minute, film) = (folder.join("minute.mp4"), folder.join(name));
    let music = "aevalsrc='0.3*sin(440*2*PI*t)*sin(3*t)+0.2*sin(660*2*PI*t+2*sin(5*t))|0.3*sin(554*2*PI*t)*cos(2*t)+0.2*sin(110*2*PI*t)':d=60:s=48000";
    let mut make = Command::new("ffmpeg");
    make.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=640x360:rate=25:duration=60"])
        .args(["-f", "lavfi", "-i", music])
        .args(["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2:d=60:r=48000"])
        .args(["-filter_complex", "[1][2]amix=inputs=2[a]", "-map", "0:v", "-map", "[a]"])
        .args(pictures.split(' '))
        .args(["-c:a", "aac", "-b:a", "160k", "-ac", "2"]);
    done(make.arg(&minute))?;
    let again = (minutes - 1).to_string();
    let mut repeat = Command::new("ffmpeg");
    repeat.args(["-nostdin", "-v", "error", "-stream_loop", &again, "-i"]).arg(&minute);
    done(repeat.args(["-c", "copy"]).arg(&film))?;
    std::fs::remove_file(minute)?;
    Ok(film)
}

pub(super) fn ours(film: &Path, arguments: &[&str]) -> Result<Took> {
    let out = film.with_extension("ours.mp3");
    let mut command = Command::new(program("converter-job"));
    timed(command.arg("local").arg(film).arg(&out).args(arguments), &out)
}

pub(super) fn ffmpeg(film: &Path, arguments: &[&str]) -> Result<Took> {
    let out = film.with_extension("peer.mp3");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(film).arg("-vn");
    timed(command.args(["-c:a", "libmp3lame"]).args(arguments).arg(&out), &out)
}

pub(super) fn stream_copy(film: &Path) -> Result<Took> {
    let out = film.with_extension("peer.mp3");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(film);
    timed(command.args(["-vn", "-c:a", "copy"]).arg(&out), &out)
}

pub(super) fn moviepy(film: &Path) -> Result<Took> {
    let out = film.with_extension("peer.mp3");
    timed(Command::new("benches/moviepy").arg(film).arg(&out), &out)
}

pub(super) fn timed(command: &mut Command, out: &Path) -> Result<Took> {
    let (start, before, mut peaks) =
        (Instant::now(), cpu_seconds_of_ended_children()?, HashMap::new());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
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

pub(super) fn done(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
