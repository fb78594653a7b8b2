//! The logins that this machine remembers, one for each server, in `logins.json`. What must hold:
//! nobody but the user can read it, and it is replaced as a whole.

use crate::error::Error;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What is stored.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Logins {
    /// The server of the last login.
    newest: Option<String>,
    #[serde(default)]
    logins: BTreeMap<String, Login>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
struct Login {
    user: String,
    token: String,
}

/// For their owner alone.
const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

impl Logins {
    /// Reads what is stored in `folder`; nothing where there is nothing.
    pub(crate) fn read(folder: Option<&Path>) -> Result<Self, Error> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let path = folder.join("logins.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, ..Self::default() });
            }
            Err(cause) => return Err(fault(&path, &cause)),
        };
        for (path, mode) in [(folder, FOLDER), (path.as_path(), FILE)] {
            repair(path, mode).map_err(|cause| fault(path, &cause))?;
        }
        let stored: Self = serde_json::from_slice(&text).map_err(|cause| fault(&path, &cause))?;
        Ok(Self { path, ..stored })
    }

    /// The server of the last login.
    pub(crate) fn newest(&self) -> Option<Url> {
        self.newest.as_ref()?.parse().ok()
    }

    /// The token for `server`.
    pub(crate) fn token(&self, server: &Url) -> Option<SecretString> {
        self.logins.get(&key(server)).map(|login| login.token.as_str().into())
    }

    /// Remembers a login, as the newest.
    pub(crate) fn add(
        &mut self,
        server: &Url,
        user: String,
        token: &SecretString,
    ) -> Result<(), Error> {
        let login = Login { user, token: token.expose_secret().to_owned() };
        self.logins.insert(key(server), login);
        self.newest = Some(key(server));
        self.write()
    }

    /// Forgets the login at `server`; whether there was one.
    pub(crate) fn remove(&mut self, server: &Url) -> Result<bool, Error> {
        let known = self.logins.remove(&key(server)).is_some();
        self.newest.take_if(|newest| *newest == key(server));
        if known { self.write().map(|()| true) } else { Ok(false) }
    }

    fn write(&self) -> Result<(), Error> {
        if self.path.as_os_str().is_empty() {
            return Err(Error::Usage(
                "there is no place to remember a login: set HOME or XDG_CONFIG_HOME".to_owned(),
            ));
        }
        let write = || {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            DirBuilder::new().recursive(true).mode(FOLDER).create(folder)?;
            fs::set_permissions(folder, Permissions::from_mode(FOLDER))?;
            // A temporary file is its owner's alone from the start.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|cause: io::Error| fault(&self.path, &cause))
    }
}

/// One server, however its address is written.
fn key(server: &Url) -> String {
    let origin = server.origin().ascii_serialization();
    format!("{origin}{}", server.path().trim_end_matches('/'))
}

/// Takes from others what they may not have.
fn repair(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o777 & !mode == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn fault(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::failed(format!(
        "cannot use the stored logins in {}: {cause}. Remove the file and log in again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn logins_are_kept_for_each_server_and_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("audio-converter");
        let (one, other): (Url, Url) =
            ("https://a.example/".parse().unwrap(), "https://a.example:8443".parse().unwrap());
        Logins::read(Some(&folder)).unwrap().add(&one, "ada".into(), &"t1".into()).unwrap();
        Logins::read(Some(&folder)).unwrap().add(&other, "bob".into(), &"t2".into()).unwrap();
        let file = folder.join("logins.json");
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let mut logins = Logins::read(Some(&folder)).unwrap();
        assert_eq!(mode(&file), 0o600, "a wider mode was left");
        let written: Url = "HTTPS://A.example:443".parse().unwrap();
        assert_eq!(logins.token(&written).unwrap().expose_secret(), "t1");
        assert_eq!(logins.newest(), Some(other.clone()));
        assert!(logins.remove(&other).unwrap() && !logins.remove(&other).unwrap());
        let logins = Logins::read(Some(&folder)).unwrap();
        assert!(logins.newest().is_none() && logins.token(&other).is_none());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a temporary file was left");
    }
}
