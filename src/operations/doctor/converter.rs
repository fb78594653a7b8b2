//! The converter: whether it is there, of our version, and turns a tone into an MP3.

use crate::{tone, unit};
use domain::Finding;
use std::{
    io,
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};
use tokio::{process::Command, time::timeout};

/// For a tone of some seconds, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
const WHAT: &str = "converter-job";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether there is a program of this name at all.
pub(super) async fn is_there(program: &Path) -> bool {
    version(program).await.is_ok()
}

/// What there is to say of `program`.
pub(super) async fn examine(program: &Path) -> Vec<Finding> {
    let shown = program.display();
    let said = match version(program).await {
        Ok(said) => said,
        Err(error) => {
            let fix = "put it beside audio-converter (`cargo build --release -p converter-job`), or name it \
                       in CONVERTER_JOB";
            return vec![Finding::fail(WHAT, format!("{shown} cannot be run: {error}"), fix)];
        }
    };
    let detail = format!("{shown}: {said}");
    let found = if said.starts_with(&format!("converter-job {VERSION}, FFmpeg ")) {
        Finding::ok(WHAT, detail)
    } else {
        let fix = format!("install the one of audio-converter {VERSION}");
        Finding::warn(WHAT, detail, fix)
    };
    vec![found, decoder(program).await]
}

/// Its answer, as `converter-job 0.1.0, FFmpeg 5.1.9`.
async fn version(program: &Path) -> io::Result<String> {
    let output = run(Command::new(program).arg("--version")).await?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{}: {}", output.status, words.trim())));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().collect::<Vec<_>>().join(", "))
}

async fn decoder(program: &Path) -> Finding {
    let what = "decoder";
    let began = Instant::now();
    let why = match convert_a_tone(program).await {
        Ok(output) if output.status.success() => {
            let took = unit::time(began.elapsed());
            return Finding::ok(what, format!("a tone became an MP3 in {took}"));
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{}: {}", output.status, said.lines().last().unwrap_or("it gave no reason"))
        }
        Err(error) => error.to_string(),
    };
    let fix = "see that this machine, or the container's profile, lets programs filter their own system \
               calls (docs/operating.md, \"What converters need of a node\"), and that TMPDIR has room";
    Finding::fail(what, format!("a tone became no MP3: {why}"), fix)
}

async fn convert_a_tone(program: &Path) -> io::Result<Output> {
    let folder = tempfile::Builder::new().prefix("audio-converter-").tempdir()?;
    let (tone, mp3) = (folder.path().join("tone.wav"), folder.path().join("tone.mp3"));
    tone::write(&tone)?;
    run(Command::new(program).arg("local").args([tone, mp3])).await
}

async fn run(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
    timeout(PATIENCE, command.output()).await.unwrap_or_else(late)
}
