//! The decoder as the attempt sees it: a child with three pipes, and the way it ended.

use super::Error;
use crate::protocol::{HEADER, Header, Job, Request, printable};
use bytes::{Buf, Bytes};
use domain::Exit;
use rustix::{pipe::fcntl_setpipe_size, process::Signal};
use std::{
    fs, io,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

/// This very program, even where its file has been replaced since.
const PROGRAM: &str = "/proc/self/exe";
/// Room in a pipe, so that a block goes over in one or two turns. A wish: the kernel may refuse.
const PIPE: usize = 1 << 20;
/// How much of the decoder's last words is kept.
const LAST_WORDS: usize = 2 << 10;

/// Faults of a program. Not among them: SIGBUS and SIGILL, by which broken disks and other processors
/// show.
const CRASHES: [Signal; 3] = [Signal::SEGV, Signal::ABORT, Signal::FPE];

/// A running decoder. Dropping it kills it.
pub(super) struct Child {
    child: tokio::process::Child,
    answers: ChildStdin,
    requests: BufReader<ChildStdout>,
    words: JoinHandle<String>,
    /// Kills for memory in this control group before it started.
    kills: Option<u64>,
}

/// How a decoder ended that did not say so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// For want of memory.
    Memory(String),
    /// Its processor time was used up.
    ProcessorTime,
    /// By a fault in its own code, which the video has led it to.
    Crash(String),
    /// Any other way.
    Other(String),
}

impl Child {
    /// Starts a decoder and tells it its job.
    pub(super) async fn start(job: &Job) -> io::Result<Self> {
        let mut program = Command::new(PROGRAM);
        program.arg0("converter-job").arg("decode");
        Self::spawn(program, job).await
    }

    /// Starts a program that speaks for a decoder, with nothing but its pipes.
    pub(super) async fn spawn(mut program: Command, job: &Job) -> io::Result<Self> {
        let kills = memory_kills();
        let mut child = program
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(answers), Some(requests), Some(words)) = pipes else {
            return Err(io::Error::other("a pipe is missing"));
        };
        let _ = fcntl_setpipe_size(answers.as_fd(), PIPE);
        let words = tokio::spawn(last_words(words));
        let requests = BufReader::with_capacity(32 << 10, requests);
        let mut child = Self { child, answers, requests, words, kills };
        child.say(Header::JOB, &serde_json::to_vec(job)?).await?;
        Ok(child)
    }

    /// Its next request; `None` when it has closed its pipe.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, Error> {
        let mut header = [0; HEADER];
        match self.requests.read_exact(&mut header).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let broken = |error: crate::protocol::Malformed| Error::Decoder(error.to_string());
        let header = Header::parse(header).map_err(broken)?;
        let mut payload = vec![0; header.length];
        match self.requests.read_exact(&mut payload).await {
            Ok(_) => Request::decode(header, payload.into()).map(Some).map_err(broken),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it the bytes that it asked for.
    pub(super) async fn answer(&mut self, bytes: &Bytes) -> Result<(), Error> {
        Ok(self.say(Header::DATA, bytes).await?)
    }

    /// Says something. A decoder that has gone shows at the next request.
    async fn say(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let header = Header::encode(kind, payload.len());
        let mut frame = Buf::chain(&header[..], payload);
        match self.answers.write_all_buf(&mut frame).await {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends it, whatever it is at, and takes leave of it: nobody else would.
    pub(super) async fn stop(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "the decoder cannot be ended");
        }
    }

    /// Waits for its end, which its closed pipe announced, and finds out the cause.
    pub(super) async fn end(mut self) -> End {
        drop(self.answers);
        // One that closed its pipe and lives on gets no more time.
        let _ = self.child.start_kill();
        let words = self.words.await.unwrap_or_default();
        let status = match self.child.wait().await {
            Ok(status) => status,
            Err(error) => return End::Other(format!("the decoder cannot be waited for: {error}")),
        };
        tracing::warn!(decoder.status = %status, decoder.words = words, "the decoder ended without a word");
        judge(status, &words, killed_for_memory(self.kills))
    }
}

fn judge(status: ExitStatus, words: &str, killed_for_memory: bool) -> End {
    let signal = status.signal();
    let kill = signal == Some(Signal::KILL.as_raw());
    let refused = signal == Some(Signal::ABORT.as_raw()) && words.contains("memory allocation of");
    if status.code() == Some(Exit::OutOfMemory.code().into()) || refused {
        End::Memory("the decoder met its memory limit".to_owned())
    } else if kill && killed_for_memory {
        End::Memory("the kernel killed the decoder for memory".to_owned())
    } else if signal == Some(Signal::XCPU.as_raw()) {
        End::ProcessorTime
    } else if signal == Some(Signal::SYS.as_raw()) {
        End::Other("the decoder made a system call that it may not make".to_owned())
    } else if CRASHES.into_iter().any(|crash| signal == Some(crash.as_raw())) {
        End::Crash(format!("the decoder crashed on it: {status}"))
    } else if words.is_empty() {
        End::Other(format!("the decoder ended with {status}"))
    } else {
        End::Other(format!("the decoder ended with {status}: {words}"))
    }
}

/// The end of what it writes to standard error.
async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut last, mut block) = (Vec::new(), vec![0; 4 << 10]);
    while let Ok(read @ 1..) = stderr.read(&mut block).await {
        last.extend_from_slice(&block[..read]);
        let spare = last.len().saturating_sub(LAST_WORDS);
        last.drain(..spare);
    }
    printable(&last)
}

fn killed_for_memory(before: Option<u64>) -> bool {
    match (before, memory_kills()) {
        (Some(before), Some(now)) => now > before,
        _ => false,
    }
}

/// How often the kernel has killed for memory in this process's control group.
fn memory_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_cause_only_where_that_is_known() {
        let raw = ExitStatus::from_raw;
        assert!(matches!(judge(raw(9), "", true), End::Memory(_)));
        assert!(matches!(judge(raw(9), "", false), End::Other(_)));
        assert!(matches!(judge(raw(76 << 8), "", false), End::Memory(_)));
        assert!(matches!(
            judge(raw(6), "memory allocation of 9 bytes failed", false),
            End::Memory(_)
        ));
        let End::Other(detail) = judge(raw(31), "", false) else {
            panic!("it is no fault of ours")
        };
        assert!(detail.contains("a system call that it may not make"), "{detail}");
        assert_eq!(judge(raw(24), "", false), End::ProcessorTime);
    }

    #[test]
    fn a_crash_is_told_from_what_others_did() {
        let raw = ExitStatus::from_raw;
        for signal in [6, 8, 11] {
            assert!(matches!(judge(raw(signal), "", false), End::Crash(_)), "{signal}");
            // With a core, where somebody wants one.
            assert!(matches!(judge(raw(signal | 0x80), "", false), End::Crash(_)), "{signal}");
        }
        for other in [4, 7, 9, 15, 31, 101 << 8] {
            assert!(matches!(judge(raw(other), "", false), End::Other(_)), "{other}");
        }
        let forbidden = judge(raw(31), "", false);
        let detail = "the decoder made a system call that it may not make";
        assert_eq!(forbidden, End::Other(detail.to_owned()));
    }
}
