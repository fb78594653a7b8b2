//! Where an MP3 goes. What must hold: a file that was there before is replaced only when the user
//! said so, and a name never stands for half an MP3: the bytes are gathered in a file beside it.

use crate::{error::Error, terminal::Terminal};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
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
    pub(crate) yes: bool,
    /// Keep existing files, whatever they are; never ask.
    #[arg(short = 'n', long, conflicts_with = "yes")]
    pub(crate) no: bool,
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

/// Whether the user means a folder: it is one, ends in a slash, or is new and has no extension.
pub(crate) fn is_folder(out: &Path) -> bool {
    let new = || out.extension().is_none() && out.symlink_metadata().is_err();
    out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/") || new()
}

impl Target {
    /// Takes `path`; none where the file there is to stay. `doubt` says why what is there may not be
    /// what would be written; without one it is, and only -y replaces it.
    pub(crate) async fn choose(
        path: PathBuf,
        doubt: Option<&str>,
        existing: Existing,
        terminal: &Terminal,
    ) -> Result<Option<Self>, Error> {
        let shown = path.display();
        if path.is_dir() {
            return Err(Error::Usage(format!("{shown} is a folder. -o FILE writes elsewhere")));
        }
        let there = path.symlink_metadata().is_ok();
        let replaces = existing.yes;
        if there && !replaces {
            let Some(doubt) = doubt.filter(|_| !existing.no) else { return Ok(None) };
            return match terminal.confirm(format!("{shown} {doubt}. Replace it?")).await {
                Some(true) => Ok(Some(Self { path, replaces: true })),
                Some(false) => Ok(None),
                None => Err(Error::Usage(format!("{shown} {doubt}. -y replaces it, -n keeps it"))),
            };
        }
        Ok(Some(Self { path, replaces }))
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
            let folder = self.folder()?;
            fs::create_dir_all(&folder)?;
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

    /// Gives the finished file its name, for good.
    pub(crate) fn commit(&self, part: NamedTempFile) -> Result<(), Error> {
        let name = || {
            // By name: the converter may have put another file in its place.
            File::open(part.path())?.sync_all()?;
            let named = if self.replaces {
                part.persist(&self.path)
            } else {
                part.persist_noclobber(&self.path)
            };
            named.map_err(|failed| failed.error)?;
            File::open(self.folder()?)?.sync_all()
        };
        name().map_err(|cause| self.fault(&cause))
    }

    fn folder(&self) -> io::Result<PathBuf> {
        Ok(absolute(&self.path)?.parent().unwrap_or(Path::new("/")).to_owned())
    }

    /// The error for a file that cannot be written.
    pub(crate) fn fault(&self, cause: &io::Error) -> Error {
        let path = self.path.display();
        Error::failed(match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{path} has appeared meanwhile and was left as it is. -y replaces it")
            }
            _ => format!("cannot write {path}: {cause}. -o writes elsewhere"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Existing = Existing { yes: false, no: false };
    const YES: Existing = Existing { yes: true, no: false };
    const NO: Existing = Existing { yes: false, no: true };

    #[test]
    fn a_folder_takes_the_name_and_a_file_is_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new("film.mp3");
        assert_eq!(
            place(Some(folder.path()), Path::new("x"), name),
            folder.path().join("film.mp3")
        );
        for new in ["new", "new/"] {
            assert_eq!(place(Some(new.as_ref()), "x".as_ref(), name), Path::new("new/film.mp3"));
        }
        assert_eq!(place(Some(Path::new("song.mp3")), Path::new("x"), name), Path::new("song.mp3"));
        assert_eq!(place(None, Path::new("x"), name), Path::new("x/film.mp3"));
    }

    #[tokio::test]
    async fn an_existing_file_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mp3");
        let terminal = Terminal::new();
        let choose = |doubt, existing| Target::choose(path.clone(), doubt, existing, &terminal);
        let early = choose(None, ASK).await.unwrap().unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(choose(None, ASK).await.unwrap(), None);
        assert_eq!(choose(None, NO).await.unwrap(), None);
        assert_eq!(choose(Some("is old"), NO).await.unwrap(), None);
        let refused = choose(Some("is old"), ASK).await.unwrap_err();
        assert!(refused.to_string().ends_with("is old. -y replaces it, -n keeps it"), "{refused}");
        // It appeared after the choice: still kept.
        early.commit(early.part().unwrap()).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let told = choose(None, YES).await.unwrap().unwrap();
        told.commit(told.part().unwrap()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(Target::free(&path).path(), folder.path().join("film-1.mp3"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a part was left");
    }
}
