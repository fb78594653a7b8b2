//! One video on this machine, by a `converter-job` child: no server, no storage.
//!
//! The child tells its progress on standard output and its end in the last line of standard error.

use crate::{
    command::Context,
    error::Error,
    target::Target,
    terminal::{Bar, Scale},
    unit,
};
use domain::{Exit, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::{
    io,
    path::{Path, absolute},
    pin::pin,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
    time::timeout,
};

/// A line of the child's standard output.
#[derive(Deserialize)]
struct Progress {
    percent: u64,
    speed: Option<f64>,
    seconds_left: Option<u64>,
}

/// The child removes its own unfinished file; after this it is not asked any more.
const GRACE: Duration = Duration::from_secs(5);

/// Converts `video` to `target`; returns the seconds of sound. When the user calls it off the child
/// is gone before this returns.
pub(crate) async fn convert(
    program: &Path,
    threads: usize,
    video: &Path,
    options: &Options,
    target: &Target,
    context: &Context,
) -> Result<Option<u64>, Error> {
    let part = target.part()?;
    let mut command = command(program, video, options, part.path())?;
    command.args(["--threads", &threads.to_string()]);
    let mut child = command.spawn().map_err(|cause| missing(program, &cause))?;
    let bar = context.terminal.bar(format!("converting {}", unit::path(video)), Scale::Percent);
    let (progress, process) = (child.stdout.take(), child.id());
    let work = async { tokio::join!(child.wait_with_output(), show(progress, &bar)).0 };
    let mut work = pin!(work);
    let output = tokio::select! {
        output = &mut work => output.map_err(|cause| missing(program, &cause))?,
        () = context.token.cancelled() => {
            let process = process.and_then(|id| Pid::from_raw(id.cast_signed()));
            let _ = process.map(|process| kill_process(process, Signal::TERM));
            let _ = timeout(GRACE, work).await;
            return Err(Error::Interrupted);
        }
    };
    if output.status.success() {
        target.commit(part)?;
        return Ok(seconds(&last_words(&output)));
    }
    Err(failed(video, &output))
}

fn command(program: &Path, video: &Path, options: &Options, mp3: &Path) -> Result<Command, Error> {
    // Absolute: no file's name may be taken for an option.
    let video_path = absolute(video)
        .map_err(|cause| Error::failed(format!("cannot read {}: {cause}", video.display())))?;
    let mut command = Command::new(program);
    command
        .arg("local")
        .args([video_path.as_path(), mp3])
        .args(["--progress", "json"])
        .args(options.said().map(flag))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Out of reach of the terminal's Ctrl-C: two signals would end it before it has tidied up.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// An option as the converter's command line has it.
fn flag((name, text): (&str, String)) -> String {
    let name = name.replace('_', "-");
    if text == "true" { format!("--{name}") } else { format!("--{name}={text}") }
}

async fn show(progress: Option<impl AsyncRead + Unpin>, bar: &Bar) {
    let Some(progress) = progress else { return };
    let mut lines = BufReader::new(progress).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(Progress { percent, speed, seconds_left }) = serde_json::from_str(&line) {
            bar.go_at(speed, seconds_left);
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
    let (video, words) = (unit::path(video), last_words(output));
    // "CODE: SENTENCE" becomes what a server's answer looks like.
    let told = words.split_once(": ").filter(|_| {
        let exit = output.status.code().map(Exit::from_code);
        matches!(exit, Some(Exit::BadInput | Exit::Deadline | Exit::OutOfMemory))
    });
    match told {
        Some((code, message)) => {
            Error::Video { name: video, code: code.into(), message: message.into() }
        }
        None => Error::failed(format!(
            "{video} was not converted. The converter ended with {}: {words}",
            output.status
        )),
    }
}

/// From "0:01:02 of sound, 100 bytes, in 0.5 s".
fn seconds(words: &str) -> Option<u64> {
    let (time, _) = words.split_once(" of sound")?;
    time.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))
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
    fn options_become_flags() {
        let options = Options {
            allow_truncated: true,
            loudness: Some("-16.5".parse().unwrap()),
            sample_rate: Some("22050".parse().unwrap()),
            ..Options::default()
        };
        let flags: Vec<_> = options.said().map(flag).collect();
        let known = ["--preset=v2", "--allow-truncated", "--sample-rate=22050", "--loudness=-16.5"];
        assert_eq!(flags, known);
    }

    #[test]
    fn a_crash_without_words_is_told_too() {
        let text = failed(Path::new("a.mp4"), &ended(75, "")).to_string();
        assert!(text.ends_with("exit status: 75: it gave no reason"), "{text}");
        assert_eq!(seconds("1:02:03 of sound, 9 bytes, in 0.5 s"), Some(3723));
    }
}
