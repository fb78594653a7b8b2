//! What an operator can set. The one file of this crate that reads the environment.
//!
//! | variable | default | what it is |
//! |---|---|---|
//! | `AUTH_DATABASE_URL` | | `mysql://user:password@host:port/database` or `file:/path/accounts.sqlite`; also `_FILE` |
//! | `AUTH_LISTEN` | `127.0.0.1:5000` | where to listen |
//! | `AUTH_FIRST_ACCOUNT` | `admin` | the administrator that a database without accounts gets |
//! | `AUTH_FIRST_PASSWORD` | a random one | its password; also `_FILE` |
//! | `AUTH_REGISTRATION` | `closed` | who may add an account: `open` anybody, `closed` only administrators |
//! | `AUTH_TOKEN_SECONDS` | 86400 | how long a login token is good; before lowering it, let the older ones expire |
//! | `AUTH_KEY_DAYS` | 90 | how old the newest signing key gets before a login makes the next one |
//! | `AUTH_KEY_LEAD_SECONDS` | 600 | how long a key is published before it signs; verifiers look every 300 s |
//! | `ADMIN_LISTEN` | none | where health and metrics are served |
//! | `LOG`, `LOG_FORMAT` | `info`, `text` | filter and format (`text` or `json`) of the log |
//! | `AUTH_PASSWORD` | | for `auth user add` only: the new account's password; also `_FILE` |

use crate::password;
use domain::UserName;
use process::{
    LogFormat,
    config::{Faults, Settings},
};
use secrecy::{ExposeSecret, SecretString};
use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the accounts are.
    pub database: DatabaseUrl,
    /// The administrator that a database without accounts gets.
    pub first_account: UserName,
    /// Its password; without one a random password is made.
    pub first_password: Option<SecretString>,
    /// Who may add an account.
    pub registration: Registration,
    /// How long a login token is good.
    pub token_lifetime: Duration,
    /// How old the newest signing key gets before a login makes the next one.
    pub key_age: Duration,
    /// How long a signing key is published before it signs.
    pub key_lead: Duration,
    /// Where health and metrics are served, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// Which log lines to write.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// Where the accounts are.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A MySQL or MariaDB server, by a URL that holds a password.
    MySql(SecretString),
    /// One file.
    Sqlite(PathBuf),
}

/// Who may add an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody, and gets the role of a user.
    Open,
    /// Administrators.
    Closed,
}

impl FromStr for Registration {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, &'static str> {
        match word {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            _ => Err("it is open or closed"),
        }
    }
}

/// In seconds.
const DAY: u64 = 86_400;
const YEAR: u64 = 366 * DAY;

const DATABASE_URL_FORMS: &str =
    "mysql://user:password@host:port/database or file:/path/accounts.sqlite";

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn from_env() -> Result<Self, Faults> {
        Self::read(Settings::from_env())
    }

    /// What the settings say, with the accounts in one file.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn with_file(settings: Settings, path: PathBuf) -> Result<Self, Faults> {
        let read = Self::read(settings.with("AUTH_DATABASE_URL", "file:replaced".to_owned()))?;
        let database = DatabaseUrl::Sqlite(path);
        Ok(Self { database, ..read })
    }

    fn read(mut settings: Settings) -> Result<Self, Faults> {
        // Every setting is read, also after a fault, so that all faults are told.
        let database = database_url(&mut settings);
        let listen = settings.or("AUTH_LISTEN", SocketAddr::from(([127, 0, 0, 1], 5000)));
        let first_account = settings.optional("AUTH_FIRST_ACCOUNT");
        let first_password = first_password(&mut settings);
        let registration = settings.or("AUTH_REGISTRATION", Registration::Closed);
        let token_lifetime = whole(&mut settings, "AUTH_TOKEN_SECONDS", 86_400, 1..=YEAR);
        let key_days = whole(&mut settings, "AUTH_KEY_DAYS", 90, 1..=3_650);
        let key_lead = whole(&mut settings, "AUTH_KEY_LEAD_SECONDS", 600, 0..=DAY);
        let admin_listen = settings.optional("ADMIN_LISTEN");
        let log = settings.or("LOG", "info".to_owned());
        let log_format = settings.or("LOG_FORMAT", LogFormat::Text);
        let first_account = first_account.or_else(|| "admin".parse().ok());
        let built = database.zip(first_account).map(|(database, first_account)| Self {
            listen,
            database,
            first_account,
            first_password,
            registration,
            token_lifetime: Duration::from_secs(token_lifetime),
            key_age: Duration::from_secs(key_days * DAY),
            key_lead: Duration::from_secs(key_lead),
            admin_listen,
            log,
            log_format,
        });
        settings.finish(built)
    }
}

/// The password for `auth user add`, where the environment has one.
///
/// # Errors
/// When the file that `AUTH_PASSWORD_FILE` names cannot be read.
pub fn password_from_env() -> Result<Option<SecretString>, Faults> {
    let mut settings = Settings::from_env();
    let password = settings.secret("AUTH_PASSWORD");
    settings.finish(Some(password))
}

fn database_url(settings: &mut Settings) -> Option<DatabaseUrl> {
    let url = settings.secret("AUTH_DATABASE_URL");
    let parsed = url.as_ref().and_then(|url| parse_database_url(url.expose_secret()));
    // The URL is never shown: it may hold a password.
    match (&url, &parsed) {
        (None, _) => {
            settings.fault(format!("AUTH_DATABASE_URL is not set; it is {DATABASE_URL_FORMS}"));
        }
        (Some(_), None) => {
            settings.fault(format!("AUTH_DATABASE_URL: it must be {DATABASE_URL_FORMS}"));
        }
        _ => {}
    }
    parsed
}

fn parse_database_url(url: &str) -> Option<DatabaseUrl> {
    if let Some(rest) = url.strip_prefix("mysql://") {
        let (server, database) = rest.rsplit_once('/')?;
        let complete = !server.is_empty() && !database.is_empty() && !database.starts_with('?');
        return complete.then(|| DatabaseUrl::MySql(url.into()));
    }
    let path = url.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then(|| DatabaseUrl::Sqlite(path.into()))
}

fn first_password(settings: &mut Settings) -> Option<SecretString> {
    let given = settings.secret("AUTH_FIRST_PASSWORD")?;
    if let Err(fault) = password::acceptable(&given) {
        settings.fault(format!("AUTH_FIRST_PASSWORD: {fault}"));
    }
    Some(given)
}

fn whole(settings: &mut Settings, name: &str, default: u64, allowed: RangeInclusive<u64>) -> u64 {
    let number = settings.or(name, default);
    if !allowed.contains(&number) {
        let (lowest, highest) = allowed.into_inner();
        settings.fault(format!("{name}: it must be from {lowest} to {highest}"));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&str, &str)]) -> Result<Config, String> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::read(Settings::from_lookup(lookup)).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_database_is_enough() {
        let config = read(&[("AUTH_DATABASE_URL", "file:///data/accounts.sqlite")]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(config.first_account.as_str(), "admin");
        assert_eq!(config.token_lifetime.as_secs(), 86_400);
        assert_eq!(config.registration, Registration::Closed);
        assert_eq!((config.key_age.as_secs(), config.key_lead.as_secs()), (90 * DAY, 600));
        let DatabaseUrl::Sqlite(path) = config.database else { panic!("not a file") };
        assert_eq!(path, PathBuf::from("/data/accounts.sqlite"));
    }

    #[test]
    fn a_file_path_survives_as_it_is() {
        let config =
            Config::with_file(Settings::from_lookup(|_| None), "//data/a b?.sqlite".into())
                .unwrap();
        let DatabaseUrl::Sqlite(path) = config.database else { panic!("not a file") };
        assert_eq!(path, PathBuf::from("//data/a b?.sqlite"));
    }

    #[test]
    fn no_fault_shows_a_secret() {
        let faults = read(&[
            ("AUTH_DATABASE_URL", "mysql://root:hush@db"),
            ("AUTH_FIRST_PASSWORD", "short"),
        ])
        .unwrap_err();
        assert!(faults.contains("AUTH_DATABASE_URL: it must be"), "{faults}");
        assert!(!faults.contains("hush") && !faults.contains("short"), "{faults}");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = read(&[
            ("AUTH_LISTEN", "here"),
            ("AUTH_FIRST_PASSWORD", "short"),
            ("AUTH_TOKEN_SECONDS", "0"),
            ("AUTH_FIRST_ACCOUNT", "a:b"),
            ("AUTH_REGISTRATION", "perhaps"),
            ("AUTH_KEY_DAYS", "0"),
            ("AUTH_KEY_LEAD_SECONDS", "86401"),
            ("LOG_FORMAT", "xml"),
        ])
        .unwrap_err();
        for name in [
            "DATABASE_URL is not set",
            "LISTEN",
            "FIRST_PASSWORD",
            "TOKEN_SECONDS",
            "FIRST_ACCOUNT",
            "REGISTRATION",
            "KEY_DAYS",
            "KEY_LEAD_SECONDS",
            "LOG_FORMAT",
        ] {
            assert!(faults.contains(name), "{name} is missing in {faults}");
        }
    }
}
