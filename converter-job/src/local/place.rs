//! Where a file goes: it grows beside its place and gets its name when it is whole and on the disk.

use crate::ending::Ending;
use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// One file on its way; gone unless it is kept.
pub(super) struct Place {
    path: PathBuf,
    part: NamedTempFile,
}

impl Place {
    /// A place for a file that is made from the video and may not replace it.
    pub(super) fn open(path: &Path, video: &Metadata) -> Result<Self, Ending> {
        let unusable = |error: &dyn std::fmt::Display| Ending::unusable(path, error);
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(unusable(&"it is a folder")),
            Ok(there) if (there.dev(), there.ino()) == (video.dev(), video.ino()) => {
                return Err(unusable(&"it would replace the video"));
            }
            _ => {}
        }
        let part = tempfile::Builder::new()
            .prefix(".converter-job-")
            .suffix(".part")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(path))
            .map_err(|error| unusable(&error))?;
        Ok(Self { path: path.to_owned(), part })
    }

    /// Its bytes on their way.
    pub(super) fn reopen(&self) -> io::Result<File> {
        self.part.reopen()
    }

    /// Writes all of it, to the disk.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        let written = writeln!(self.part, "{text}").and_then(|()| self.part.as_file().sync_all());
        written.map_err(|error| self.told(error))
    }

    /// The error, with the file that it is about.
    pub(super) fn told(&self, error: io::Error) -> io::Error {
        told(&self.path, error)
    }

    /// Gives it its name.
    fn keep(self) -> io::Result<PathBuf> {
        let Self { path, part } = self;
        let named = part.persist(&path).map_err(io::Error::from);
        let named = named.and_then(|_| File::open(folder(&path))?.sync_all());
        named.map_err(|error| told(&path, error)).map(|()| path)
    }
}

fn told(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Gives all of them their names, in this order, or none.
pub(super) fn keep_all(places: Vec<Place>) -> io::Result<()> {
    let mut kept = Vec::new();
    for place in places {
        match place.keep() {
            Ok(path) => kept.push(path),
            Err(error) => {
                // What cannot be removed either is beyond help.
                kept.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(error);
            }
        }
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
