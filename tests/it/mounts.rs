//! A scenario with a disk of its own: it runs once more in a process with its own table of mounts,
//! so that what it mounts nobody else sees, and all of it is gone with the process.

use crate::{
    Result,
    process::{bound_to_this_thread, output_of},
};
use anyhow::{Context, ensure};
use std::{path::Path, process::Command, sync::OnceLock};

/// Set in the process that has its own mounts.
const INSIDE: &str = "TEST_HAS_ITS_OWN_MOUNTS";
/// How to come to such a process: as root, as anybody where the kernel allows it, with sudo.
const WAYS: [&[&str]; 3] = [
    &["unshare", "--mount"],
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["sudo", "-n", "-E", "unshare", "--mount"],
];

/// Why no test can have its own mounts here, if so.
pub(crate) fn absent() -> Option<&'static str> {
    way().is_none().then_some("this user may not mount anything")
}

/// The first way that leads there.
fn way() -> Option<&'static [&'static str]> {
    static WAY: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *WAY.get_or_init(|| {
        let mount = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"];
        let leads_there = |way: &&&[&str]| {
            let mut command = Command::new(way[0]);
            output_of(command.args(&way[1..]).args(mount), None).is_ok()
        };
        WAYS.iter().find(leads_there).copied()
    })
}

/// Whether this process has its own mounts.
pub(crate) fn are_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test of this name in a process with its own mounts.
pub(crate) fn run_with_own(name: &str) -> Result {
    let way = way().context("this user may not mount anything")?;
    let mut command = bound_to_this_thread(Path::new(way[0]));
    command.args(&way[1..]).arg(std::env::current_exe()?);
    let output = command.args(["--exact", name]).env(INSIDE, "1").output()?;
    let (said, noted) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprint!("{noted}");
    ensure!(output.status.success(), "{said}{noted}");
    ensure!(said.contains("1 passed"), "{name} did not run");
    Ok(())
}

/// Mounts an empty disk of so many MiB at a folder, which is made.
pub(crate) fn disk(folder: &Path, mebibytes: u32) -> Result {
    ensure!(are_own(), "everybody would see this mount");
    std::fs::create_dir(folder)?;
    let size = format!("size={mebibytes}m");
    let mut command = Command::new("mount");
    output_of(command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder), None).map(drop)
}
