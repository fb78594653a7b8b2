//! What the decoder gives up before it sees the first byte of a video.

mod filter;
#[cfg(test)]
mod tests;

use crate::protocol::Job;
use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    fs::{self, File},
    io,
    os::{fd::RawFd, unix::fs::FileExt},
};

/// Closes what was inherited beside the three standard pipes: a shell or a container runtime may have
/// left something open. Must come first, before anything of ours is opened.
#[expect(unsafe_code, reason = "closing by number; nothing in this process owns these yet")]
pub(super) fn close_inherited() -> io::Result<()> {
    // Else it would be listed as `exe`, after the path that it was started by.
    let _ = fs::write("/proc/self/comm", "decoder");
    let entries = fs::read_dir("/proc/self/fd")?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inherited: Vec<RawFd> = numbers.filter(|number| *number > 2).collect();
    for number in inherited {
        // The listing itself is among them, and closed by now.
        if fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok() {
            // SAFETY: nothing of ours has been opened yet, so nobody owns the number.
            unsafe { rustix::io::close(number) };
        }
    }
    Ok(())
}

/// Sets the limits, has the threads started, and closes the doors for all of them. Nothing of the video
/// may be read before this returns, and no thread can be started after it.
pub(super) fn confine<T>(job: &Job, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    limit(job)?;
    // Binds the thread that asks for it, and those that it starts.
    fence().map_err(io::Error::other)?;
    let threads = start()?;
    filter::apply()?;
    Ok(threads)
}

fn limit(job: &Job) -> io::Result<()> {
    let processor = job.run_limit_seconds.saturating_mul(job.threads.max(1).into());
    let limits = [
        (Resource::As, job.memory_bytes),
        // With zero a crash is still told to a program that gathers dumps, where there is one.
        (Resource::Core, 1),
        (Resource::Nofile, 16),
        // No file may be written; pipes are not files.
        (Resource::Fsize, 0),
        (Resource::Cpu, processor.saturating_add(5)),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Takes away files, ports, and whatever else of other processes Landlock can. Kernels that know none of
/// it, or less, are none the worse: the filter comes on top.
fn fence() -> Result<RulesetStatus, RulesetError> {
    let newest = ABI::V10;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

/// The process's memory, told through a file that is opened while files can still be opened.
pub(super) struct Memory {
    status: File,
    limit: u64,
}

impl Memory {
    pub(super) fn open(job: &Job) -> io::Result<Self> {
        Ok(Self { status: File::open("/proc/self/status")?, limit: job.memory_bytes })
    }

    /// Whether the process has come near its limit; where it cannot be told, it has.
    pub(super) fn is_short(&self) -> bool {
        self.peak().is_none_or(|peak| peak > self.limit / 2)
    }

    /// The most memory that the process has held, in bytes.
    fn peak(&self) -> Option<u64> {
        let mut text = [0; 4096];
        let length = self.status.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(&text[..length]).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }
}
