//! Processes that a test starts: with their log in a file, and gone with the test.

use crate::Result;
use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A running service.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` of this workspace, its output going to `folder/name.log`.
    pub(crate) fn start(
        name: &str,
        arguments: &[&str],
        environment: &[(&str, String)],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let child = bound_to_this_thread(&program(name))
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}; was the workspace built?"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// kill -9, and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, as Kubernetes sends it to a pod that is to go.
    pub(crate) fn terminate(&self) -> Result {
        self.signal("-TERM")
    }

    /// A signal as `kill` writes it.
    pub(crate) fn signal(&self, signal: &str) -> Result {
        let id = self.child.id().to_string();
        output_of(Command::new("kill").args([signal, &id]), None).map(drop)
    }

    /// Its exit code once it has ended by itself; none while it runs.
    pub(crate) fn exit_code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}:\n{}", self.name, self.log()),
        }
    }

    /// Prints the end of its log.
    pub(crate) fn tell(&self) {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        eprintln!("--- {} ---", self.name);
        for line in &lines[lines.len().saturating_sub(60)..] {
            eprintln!("{line}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of a program of this workspace, built beside this test.
pub(crate) fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let folder = this.ancestors().nth(2).unwrap_or(Path::new("."));
    folder.join(name)
}

/// A command that the kernel kills when the thread that starts it ends: nothing outlives a test,
/// even one that is killed.
pub(crate) fn bound_to_this_thread(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Ids of the processes whose environment holds this entry and whose arguments hold `argument`.
pub(crate) fn with_environment(entry: &str, argument: &str) -> Vec<i32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids =
        processes.flatten().filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    let holds = |id: &i32, file: &str, wanted: &str| {
        let text = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        text.split(|byte| *byte == 0).any(|part| part == wanted.as_bytes())
    };
    ids.filter(|id| holds(id, "environ", entry) && holds(id, "cmdline", argument)).collect()
}

/// Ids of a process's children.
pub(crate) fn children_of(id: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| fs::read_to_string(thread.path().join("children")));
    let children: String = children.collect();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Runs a command and returns its standard output.
pub(crate) fn output_of(command: &mut Command, input: Option<&str>) -> Result<String> {
    use std::io::Write;
    let shown = format!("{command:?}");
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(shown.clone())?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "{shown}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
