//! The data folder of one server: nobody else may read it, and only one process serves it.

use crate::error::Error;
use domain::Finding;
use rustix::fs::{Access, access};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// A data folder that this process has for itself, until it ends.
#[derive(Debug)]
pub(crate) struct Data {
    folder: PathBuf,
    _lock: File,
}

/// For its owner alone: in it are videos, tokens' keys and hashes of passwords.
const PRIVATE: u32 = 0o700;
const LOCK: &str = "lock";
/// A server that is killed while it starts a converter leaves the lock to the unborn child, until that
/// has become another program: moments, but long ones on a busy machine.
const DEATH_TAKES: Duration = Duration::from_secs(1);

impl Data {
    /// Takes `folder`, and makes it where it is missing.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        let fault = |cause: io::Error| {
            Error::failed(format!(
                "cannot use {} for data: {cause}. --data FOLDER names another",
                folder.display()
            ))
        };
        if is_foreign(folder) {
            // Its mode is about to change: `--data /tmp` must not lock everybody out.
            return Err(Error::Usage(format!(
                "{} holds other files. --data takes an empty folder, or \
                 a new one",
                folder.display()
            )));
        }
        DirBuilder::new().recursive(true).mode(PRIVATE).create(folder).map_err(fault)?;
        fs::set_permissions(folder, Permissions::from_mode(PRIVATE)).map_err(fault)?;
        let folder = folder.canonicalize().map_err(fault)?;
        let lock = lock(&folder).map_err(fault)?;
        Ok(Self { _lock: lock.ok_or_else(|| taken(&folder))?, folder })
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What there is to say of a folder for data, which is left as it is.
pub(crate) fn examine(folder: &Path) -> Finding {
    let (what, shown) = ("data folder", folder.display());
    if is_foreign(folder) {
        let fix = "take an empty folder, or a new one: `serve --data FOLDER`";
        return Finding::fail(what, format!("{shown} holds other files"), fix);
    }
    match look(folder) {
        Ok(said) => Finding::ok(what, format!("{shown} {said}")),
        Err(cause) => {
            let fix = format!(
                "give it to the account that serves: `chown -R ACCOUNT {shown}` and `chmod u+rwx {shown}`; \
                 `--data FOLDER` names another"
            );
            Finding::fail(what, format!("{shown} cannot be used: {cause}"), fix)
        }
    }
}

fn look(folder: &Path) -> io::Result<String> {
    if !folder.exists() {
        let above = folder.ancestors().skip(1).find(|place| place.exists());
        access(above.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?;
        return Ok("is not there yet; `serve` makes it".to_owned());
    }
    // A file without a name, gone at once.
    tempfile::tempfile_in(folder)?;
    let Ok(lock) = File::open(folder.join(LOCK)) else {
        return Ok("is empty".to_owned());
    };
    Ok(match lock.try_lock() {
        Err(TryLockError::WouldBlock) => format!("is there; process {} serves it", holder(folder)),
        _ => "is there; nobody serves it now".to_owned(),
    })
}

/// Whether there is something in it, and not by us.
fn is_foreign(folder: &Path) -> bool {
    !folder.join(LOCK).exists()
        && fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

/// The lock, or none when another process has it. It is the kernel's: a killed server frees it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(LOCK))?;
    let begun = Instant::now();
    let mut locked = file.try_lock();
    while matches!(locked, Err(TryLockError::WouldBlock)) && begun.elapsed() < DEATH_TAKES {
        thread::sleep(DEATH_TAKES / 20);
        locked = file.try_lock();
    }
    match locked {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(cause)) => return Err(cause),
        Ok(()) => file.set_len(0)?,
    }
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

fn taken(folder: &Path) -> Error {
    let (process, folder) = (holder(folder), folder.display());
    Error::failed(format!(
        "process {process} serves {folder} already. End it first, or take another folder \
         with --data"
    ))
}

/// The process that has it.
fn holder(folder: &Path) -> String {
    let read = fs::read_to_string(folder.join(LOCK));
    read.map_or_else(|_| "?".to_owned(), |process| process.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_server_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data");
        let first = Data::take(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, PRIVATE);
        let refused = Data::take(&folder).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} serves", std::process::id())), "{refused}");
        drop(first);
        Data::take(&folder).unwrap();
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(root.path().join("letter"), "").unwrap();
        assert_eq!(Data::take(root.path()).unwrap_err().exit(), 2);
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
