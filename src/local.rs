//! One video on this machine, by a `converter-job` child: no server, no storage.
//!
//! The child tells its progress on standard output and its end in the last line of standard error.

use crate::{
    error::Error,
    target::Target,
    terminal::{Bar, Scale, Terminal},
};
use domain::{Exit, Preset};
use serde::Deserialize;
use std::{
    io,
    path::{Path, absolute},
    process::{Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

/// A line of the child's standard output.
#[derive(Deserialize)]
struct Progress {
    percent: u64,
}

/// Converts `video` to `target`; returns the child's words about the MP3.
pub(crate) async fn convert(
    program: &Path,
    video: &Path,
    preset: Preset,
    target: &Target,
    terminal: &Terminal,
) -> Result<String, Error> {
    let part = target.part()?;
    // Absolute: no file's name may be taken for an option.
    let video_path = absolute(video)
        .map_err(|cause| Error::failed(format!("cannot read {}: {cause}", video.display())))?;
    let mut child = Command::new(program)
        .arg("local")
        .args([video_path.as_path(), part.path()])
        .args(["--preset", preset.name(), "--progress", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| missing(program, &cause))?;
    let bar = terminal.bar(format!("converting {}", video.display()), Scale::Percent);
    let progress = child.stdout.take();
    let (output, ()) = tokio::join!(child.wait_with_output(), show(progress, &bar));
    drop(bar);
    let output = output.map_err(|cause| missing(program, &cause))?;
    if output.status.success() {
        target.commit(part)?;
        return Ok(last_words(&output));
    }
    Err(failed(video, &output))
}

async fn show(progress: Option<impl AsyncRead + Unpin>, bar: &Bar) {
    let Some(progress) = progress else { return };
    let mut lines = BufReader::new(progress).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(Progress { percent }) = serde_json::from_str(&line) {
            bar.reach(percent);
        }
    }
}

fn missing(program: &Path, cause: &io::Error) -> Error {
    let program = program.display();
    Error::failed(match cause.kind() {
        io::ErrorKind::NotFound => format!(
            "converting on this machine takes the program {program}, which is not there. Build it \
             with `cargo build --release -p converter-job` and put it beside audio-converter, or \
             name it in CONVERTER_JOB; or let a server convert: --server URL"
        ),
        _ => format!("cannot run {program}: {cause}"),
    })
}

fn failed(video: &Path, output: &Output) -> Error {
    let (video, words) = (video.display(), last_words(output));
    Error::failed(match output.status.code().map(Exit::from_code) {
        Some(Exit::BadInput | Exit::Deadline | Exit::OutOfMemory) => {
            // "CODE: SENTENCE" becomes what a server's answer looks like.
            match words.split_once(": ") {
                Some((code, sentence)) => format!("{video} was not converted. {sentence} ({code})"),
                None => format!("{video} was not converted. {words}"),
            }
        }
        _ => format!(
            "{video} was not converted. The converter ended with {}: {words}",
            output.status
        ),
    })
}

/// The last line, without the names of the program and of the end.
fn last_words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
    let words = last.strip_prefix("converter-job: ").unwrap_or(last);
    let known = ["succeeded: ", "failed: "].iter().find_map(|end| words.strip_prefix(end));
    known.unwrap_or(words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn ended(code: i32, stderr: &str) -> Output {
        Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_bad_video_is_told_as_a_server_tells_it() {
        let output =
            ended(65, "a log line\nconverter-job: failed: no_audio_track: There is no sound.\n");
        assert_eq!(
            failed(Path::new("a.mp4"), &output).to_string(),
            "a.mp4 was not converted. There is no sound. (no_audio_track)"
        );
    }

    #[test]
    fn a_crash_without_words_is_told_too() {
        let text = failed(Path::new("a.mp4"), &ended(75, "")).to_string();
        assert!(text.ends_with("exit status: 75: it gave no reason"), "{text}");
    }
}
