//! Runs `converter-job` and looks at its processes.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Long enough for the slowest machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// All of standard error.
    pub(crate) log: String,
}

impl Ended {
    /// The line that says why it ended.
    pub(crate) fn line(&self) -> &str {
        self.log.lines().last().unwrap_or_default()
    }
}

/// The program, before it is started.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_converter-job"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Converts a file with more arguments.
pub(crate) fn local(video: &Path, mp3: &Path, arguments: &[&str]) -> Ended {
    let child = program().arg("local").args([video, mp3]).args(arguments).spawn().unwrap();
    end(child)
}

/// Starts a conversion and waits until it is well on its way.
pub(crate) fn local_at_work(video: &Path, mp3: &Path) -> Child {
    let mut command = program();
    let mut child =
        command.arg("local").args([video, mp3]).args(["--progress", "json"]).spawn().unwrap();
    let mut progress = BufReader::new(child.stdout.take().unwrap()).lines();
    let moving = progress.find(|line| line.as_ref().is_ok_and(|line| line != "{\"percent\":0}"));
    assert!(moving.is_some(), "it ended too soon: {:?}", end(child));
    // Its progress still needs a reader.
    std::thread::spawn(move || progress.for_each(drop));
    child
}

/// Waits for the end.
pub(crate) fn end(mut child: Child) -> Ended {
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    Ended { code: child.wait().unwrap().code(), log }
}

/// Waits until `condition` holds.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match condition() {
            Some(value) => return value,
            None if began.elapsed() > PATIENCE => panic!("waited in vain until {what}"),
            None => std::thread::yield_now(),
        }
    }
}

/// The decoder that a program has started.
pub(crate) fn decoder_of(parent: &Child) -> Pid {
    let parent = parent.id().to_string();
    until("there is a decoder", || {
        let mut processes = fs::read_dir("/proc").unwrap().flatten();
        processes.find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(") ")?.1.split(' ');
            (fields.nth(1)? == parent).then_some(())?;
            Pid::from_raw(pid)
        })
    })
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn kill(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}

pub(crate) fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}
