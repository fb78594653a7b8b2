//! The texts beside a file, in `NAME.json` beside `NAME`.

use super::{
    Embedded,
    file::{create, run},
};
use crate::{Beside, Error, blob::Name};
use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

impl Embedded {
    pub(crate) async fn beside(&self, name: Name) -> Result<Option<Beside>, Error> {
        let whole = self.path(name);
        run(move || {
            // They come before their file has its name.
            if !whole.exists() {
                return Ok(None);
            }
            match fs::read(place(&whole)) {
                Ok(texts) => serde_json::from_slice(&texts).map(Some).map_err(damaged),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Where the texts beside the file `whole` lie.
pub(super) fn place(whole: &Path) -> PathBuf {
    whole.with_extension("json")
}

pub(super) fn text_of(beside: &Beside) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(beside).map_err(damaged)
}

/// Brings the texts to the disk; their name is safe once that of `whole` is.
pub(super) fn write(whole: &Path, texts: &[u8]) -> io::Result<()> {
    let mut file = create(&place(whole))?;
    file.write_all(texts)?;
    file.sync_all()
}

fn damaged(error: serde_json::Error) -> Error {
    Error::Corrupt(error.to_string())
}
