//! The settings of an attempt, from the environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `STORAGE_URL` | where video, record and MP3 lie; may stand in a file that `STORAGE_URL_FILE` names |
//! | `CONVERSION_ID`, `ATTEMPT` | which attempt this is |
//! | `RUN_LIMIT_SECONDS` | how long it may take; 3600 |
//! | `EXIT_WITH_STDIN` | `true` in a child, whose parent tells its end by closing the pipe |
//! | `TERMINATION_LOG` | where its last line goes, if that file exists; `/dev/termination-log` |
//! | `LOG`, `LOG_FORMAT` | what is logged, and as `text` or `json` |

use domain::ConversionId;
use process::{
    LogFormat,
    config::{Faults, Settings},
};
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

/// What an attempt is told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) storage_url: SecretString,
    pub(crate) conversion: ConversionId,
    pub(crate) attempt: u32,
    pub(crate) run_limit: Duration,
    pub(crate) exit_with_stdin: bool,
}

/// Where and how the process speaks; known even where the rest is faulty.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(crate) log: String,
    pub(crate) format: LogFormat,
    pub(crate) termination_log: PathBuf,
}

impl Voice {
    /// `quiet` is for a program that a person runs.
    pub(crate) fn from_env(quiet: bool) -> Self {
        let mut settings = Settings::from_env();
        Self {
            log: settings.or("LOG", if quiet { "error" } else { "info" }.to_owned()),
            format: settings.or("LOG_FORMAT", LogFormat::Text),
            termination_log: settings.or("TERMINATION_LOG", PathBuf::from("/dev/termination-log")),
        }
    }
}

impl Config {
    pub(crate) fn from_env() -> Result<Self, Faults> {
        Self::from_settings(Settings::from_env())
    }

    fn from_settings(mut settings: Settings) -> Result<Self, Faults> {
        // Read here too, so that a fault in it is told with the others.
        settings.optional::<LogFormat>("LOG_FORMAT");
        let storage_url =
            settings.required_secret("STORAGE_URL", "mongodb://host/database or file:/folder");
        let conversion = settings.required("CONVERSION_ID", "the id of a conversion");
        let attempt = settings.required("ATTEMPT", "a number from 1 on");
        let run_limit = Duration::from_secs(settings.or("RUN_LIMIT_SECONDS", 3600));
        let exit_with_stdin = settings.or("EXIT_WITH_STDIN", false);
        let built = storage_url.zip(conversion).zip(attempt);
        settings.finish(built.map(|((storage_url, conversion), attempt)| Self {
            storage_url,
            conversion,
            attempt,
            run_limit,
            exit_with_stdin,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn every_fault_is_told_at_once() {
        let wrong = |name: &str| match name {
            "ATTEMPT" => Some("first".to_owned()),
            "LOG_FORMAT" => Some("xml".to_owned()),
            _ => None,
        };
        let faults = Config::from_settings(Settings::from_lookup(wrong)).unwrap_err().to_string();
        for name in
            ["STORAGE_URL is not set", "CONVERSION_ID is not set", "ATTEMPT:", "LOG_FORMAT:"]
        {
            assert!(faults.contains(name), "{faults}");
        }
    }

    #[test]
    fn the_storages_address_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "file:/data\n").unwrap();
        let path = file.path().display().to_string();
        let settings = Settings::from_lookup(move |name| match name {
            "STORAGE_URL_FILE" => Some(path.clone()),
            "CONVERSION_ID" => Some(ConversionId::generate().to_string()),
            "ATTEMPT" => Some("1".to_owned()),
            _ => None,
        });
        let config = Config::from_settings(settings).unwrap();
        assert_eq!(config.storage_url.expose_secret(), "file:/data");
    }
}
