//! The environment of the command line. Every command reads it once, here.
//!
//! | variable | meaning |
//! |---|---|
//! | `AUDIO_CONVERTER_SERVER` | the server's address, as `https://audio.example.org` |
//! | `AUDIO_CONVERTER_USER`, `AUDIO_CONVERTER_PASSWORD` | the account to sign in with; the password may stand in the file that `AUDIO_CONVERTER_PASSWORD_FILE` names |
//! | `AUDIO_CONVERTER_TOKEN` | a token from `audio-converter token create`; wins over the account, as both win over a stored login |
//! | `XDG_CONFIG_HOME`, else `HOME` | where `audio-converter/logins.json` lies; `HOME/.config` |
//! | `CONVERTER_JOB` | the `converter-job` program, where it does not lie beside this one |
//! | `IMPORT_ACCOUNTS_URL` | for `import accounts`: the original's MySQL database, as `mysql://user:password@host/auth`; also `_FILE`. Ours is in auth's `AUTH_DATABASE_URL` |
//! | `STORAGE_URL`, `QUEUE_URL` | for `import videos`, and for `doctor` with all else that a dispatcher reads: MongoDB and RabbitMQ; also `_FILE` |
//! | `AUTH_DATABASE_URL` | for `doctor` on a cluster, where it is to look at the accounts too; also `_FILE` |
//! | `LOG` | what is logged to standard error, as in `info,dispatcher=debug` |

use process::config::{Faults, Settings};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Config {
    /// The server to talk to; none means this machine.
    pub(crate) server: Option<Url>,
    /// The folder of the stored logins; none where there is no home.
    pub(crate) folder: Option<PathBuf>,
    /// How to sign in.
    pub(crate) credentials: Option<Credentials>,
    /// The converter program.
    pub(crate) converter_job: Option<PathBuf>,
    /// The log's filter.
    pub(crate) log: Option<String>,
}

/// How to sign in.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// A token from the environment.
    Token(SecretString),
    /// The token of a stored login.
    Stored(SecretString),
    /// An account.
    Account {
        /// Its name.
        user: String,
        /// Its password.
        password: SecretString,
    },
}

impl Config {
    /// Reads the environment; tells every fault at once.
    pub(crate) fn from_env() -> Result<Self, Faults> {
        Self::read(Settings::from_env())
    }

    fn read(mut settings: Settings) -> Result<Self, Faults> {
        let user = settings.optional("AUDIO_CONVERTER_USER");
        let password = settings.secret("AUDIO_CONVERTER_PASSWORD");
        let token = settings.secret("AUDIO_CONVERTER_TOKEN");
        let credentials = match (token, user, password) {
            (Some(token), ..) => Some(Credentials::Token(token)),
            (None, Some(user), Some(password)) => Some(Credentials::Account { user, password }),
            (None, None, None) => None,
            (None, Some(_), None) => {
                settings.fault("AUDIO_CONVERTER_USER is set, AUDIO_CONVERTER_PASSWORD is not");
                None
            }
            (None, None, Some(_)) => {
                settings.fault("AUDIO_CONVERTER_PASSWORD is set, AUDIO_CONVERTER_USER is not");
                None
            }
        };
        // A relative one is to be ignored, says the convention.
        let home = settings.optional("XDG_CONFIG_HOME").filter(|home: &PathBuf| home.is_absolute());
        let home = home.or_else(|| Some(settings.optional::<PathBuf>("HOME")?.join(".config")));
        let config = Self {
            folder: home.map(|home| home.join("audio-converter")),
            server: settings.optional("AUDIO_CONVERTER_SERVER"),
            credentials,
            converter_job: settings.optional("CONVERTER_JOB"),
            log: settings.optional("LOG"),
        };
        settings.finish(Some(config))
    }
}

/// Where accounts come from and go to.
pub(crate) struct ImportOfAccounts {
    /// Auth's settings.
    pub(crate) auth: auth::Config,
    /// The original's database.
    pub(crate) from: SecretString,
}

impl ImportOfAccounts {
    pub(crate) fn from_env() -> Result<Self, Faults> {
        let auth = auth::Config::from_env()?;
        let mut settings = Settings::from_env();
        let from = needed(&mut settings, "IMPORT_ACCOUNTS_URL", "mysql://user:password@host/auth");
        settings.finish(from.map(|from| Self { auth, from }))
    }
}

/// The databases of a cluster.
pub(crate) struct ImportOfVideos {
    /// Videos, theirs and ours.
    pub(crate) storage: SecretString,
    /// Messages.
    pub(crate) queue: SecretString,
}

impl ImportOfVideos {
    pub(crate) fn from_env() -> Result<Self, Faults> {
        let mut settings = Settings::from_env();
        let storage = needed(&mut settings, "STORAGE_URL", "mongodb://host/database");
        let queue = needed(&mut settings, "QUEUE_URL", "amqp://user:password@host/%2f");
        settings.finish(storage.zip(queue).map(|(storage, queue)| Self { storage, queue }))
    }
}

/// A cluster, as its dispatcher is told of it.
pub(crate) struct Cluster {
    /// The dispatcher's settings.
    pub(crate) dispatcher: dispatcher::Config,
    /// The accounts, where they are said to be looked at.
    pub(crate) accounts: Option<auth::DatabaseUrl>,
}

impl Cluster {
    /// None where no MongoDB is named.
    pub(crate) fn from_env() -> Result<Option<Self>, Faults> {
        let mut settings = Settings::from_env();
        let storage = settings.secret("STORAGE_URL");
        let accounts = settings.secret("AUTH_DATABASE_URL").is_some();
        settings.finish(Some(()))?;
        if !storage.is_some_and(|url| url.expose_secret().starts_with("mongodb")) {
            return Ok(None);
        }
        let accounts = accounts.then(auth::Config::from_env).transpose()?;
        let accounts = accounts.map(|config| config.database);
        Ok(Some(Self { dispatcher: dispatcher::Config::from_env()?, accounts }))
    }
}

/// An address that begins as `what` does.
fn needed(settings: &mut Settings, name: &str, what: &str) -> Option<SecretString> {
    let scheme = what.split(':').next().unwrap_or_default();
    let address = settings.secret(name).filter(|it| it.expose_secret().starts_with(scheme));
    if address.is_none() {
        settings.fault(format!("{name} is not what it must be: {what}"));
    }
    address
}

/// What the services read: their own variables, as in a cluster.
pub(crate) fn of_services() -> Settings {
    Settings::from_env()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &'static [(&str, &str)]) -> Result<Config, Faults> {
        Config::read(Settings::from_lookup(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn a_token_wins_over_an_account() {
        let config = read(&[
            ("AUDIO_CONVERTER_USER", "ada"),
            ("AUDIO_CONVERTER_PASSWORD", "hush"),
            ("AUDIO_CONVERTER_TOKEN", "t"),
        ]);
        assert!(matches!(config.unwrap().credentials, Some(Credentials::Token(_))));
    }

    #[test]
    fn half_an_account_and_a_bad_address_are_both_told() {
        let faults = read(&[("AUDIO_CONVERTER_USER", "ada"), ("AUDIO_CONVERTER_SERVER", "here")]);
        let text = faults.unwrap_err().to_string();
        assert!(
            text.contains("AUDIO_CONVERTER_PASSWORD is not")
                && text.contains("AUDIO_CONVERTER_SERVER:"),
            "{text}"
        );
    }
}
