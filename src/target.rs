//! Where an MP3 goes. What must hold: a file that was there before is replaced only when the user
//! said so, and a name never stands for half an MP3: the bytes are gathered in a file beside it.

use crate::{error::Error, terminal::Terminal};
use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf, absolute},
};
use tempfile::{Builder, NamedTempFile};

/// A place for one MP3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    path: PathBuf,
    replaces: bool,
}

/// What to do where a file of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Existing {
    /// Replace existing files.
    #[arg(short = 'y', long)]
    yes: bool,
    /// Never ask; refuse to replace an existing file.
    #[arg(short = 'n', long, conflicts_with = "yes")]
    no: bool,
}

/// The path for an MP3 called `name`: in `out` where that is a folder, at `out` where it is not, in
/// `folder` where it is not given.
pub(crate) fn place(out: Option<&Path>, folder: &Path, name: &OsStr) -> PathBuf {
    match out {
        None => folder.join(name),
        Some(out) if is_folder(out) => out.join(name),
        Some(out) => out.to_owned(),
    }
}

/// Whether the user means a folder: it is one, or ends in a slash.
pub(crate) fn is_folder(out: &Path) -> bool {
    out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/")
}

impl Target {
    /// Takes `path`, after asking where it exists.
    pub(crate) fn choose(
        path: PathBuf,
        existing: Existing,
        terminal: &Terminal,
    ) -> Result<Self, Error> {
        let there = path.symlink_metadata().is_ok();
        let refused = || {
            Error::Usage(format!(
                "{} exists already. -y replaces it, -o FILE writes elsewhere",
                path.display()
            ))
        };
        if path.is_dir() {
            return Err(Error::Usage(format!("{} is a folder", path.display())));
        }
        if there && !existing.yes {
            let agreed =
                !existing.no && terminal.ask(format!("Replace {}?", path.display())) == Some(true);
            if !agreed {
                return Err(refused());
            }
        }
        Ok(Self { path, replaces: there || existing.yes })
    }

    /// The first of `name.mp3`, `name-1.mp3`, ... beside `path` that is free.
    pub(crate) fn free(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let numbered = (1..).map(|n| path.with_file_name(format!("{stem}-{n}.mp3")));
        let mut names = std::iter::once(path.to_owned()).chain(numbered);
        let free = names.find(|name| name.symlink_metadata().is_err());
        Self { path: free.unwrap_or_else(|| path.to_owned()), replaces: false }
    }

    /// Where the MP3 will be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file beside the target for the bytes on their way; gone unless it is committed.
    pub(crate) fn part(&self) -> Result<NamedTempFile, Error> {
        let make = || {
            let path = absolute(&self.path)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder)?;
            // As any new file: what the user's umask leaves of it.
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            Builder::new()
                .prefix(".")
                .suffix(".mp3.part")
                .permissions(permissions)
                .tempfile_in(folder)
        };
        make().map_err(|cause| self.fault(&cause))
    }

    /// Gives the finished file its name.
    pub(crate) fn commit(&self, part: NamedTempFile) -> Result<(), Error> {
        part.as_file().sync_all().map_err(|cause| self.fault(&cause))?;
        let named = if self.replaces {
            part.persist(&self.path)
        } else {
            part.persist_noclobber(&self.path)
        };
        named.map(drop).map_err(|failed| self.fault(&failed.error))
    }

    /// The error for a file that cannot be written.
    pub(crate) fn fault(&self, cause: &io::Error) -> Error {
        let path = self.path.display();
        Error::failed(match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{path} has appeared meanwhile and was left as it is. -y replaces it")
            }
            _ => format!("cannot write {path}: {cause}. -o FILE writes elsewhere"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Existing = Existing { yes: false, no: false };
    const YES: Existing = Existing { yes: true, no: false };

    #[test]
    fn a_folder_takes_the_name_and_a_file_is_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new("film.mp3");
        assert_eq!(
            place(Some(folder.path()), Path::new("x"), name),
            folder.path().join("film.mp3")
        );
        assert_eq!(place(Some(Path::new("new/")), Path::new("x"), name), Path::new("new/film.mp3"));
        assert_eq!(place(Some(Path::new("song.mp3")), Path::new("x"), name), Path::new("song.mp3"));
        assert_eq!(place(None, Path::new("x"), name), Path::new("x/film.mp3"));
    }

    #[test]
    fn an_existing_file_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mp3");
        let terminal = Terminal::new();
        let early = Target::choose(path.clone(), ASK, &terminal).unwrap();
        fs::write(&path, "mine").unwrap();
        Target::choose(path.clone(), Existing { yes: false, no: true }, &terminal).unwrap_err();
        // It appeared after the choice: still kept.
        early.commit(early.part().unwrap()).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let told = Target::choose(path.clone(), YES, &terminal).unwrap();
        told.commit(told.part().unwrap()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(Target::free(&path).path(), folder.path().join("film-1.mp3"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a part was left");
    }
}
