//! Reads the environment. Every fault is collected, so that an operator sees all of them at once
//! and before any socket opens. A secret may stand in a file: `NAME_FILE` names it.

use secrecy::SecretString;
use std::{fmt::Display, str::FromStr};

type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// A reader of settings that remembers what is wrong.
pub struct Settings {
    lookup: Lookup,
    faults: Vec<String>,
}

/// Everything that is wrong with the settings, one line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not usable:\n  {}", .0.join("\n  "))]
pub struct Faults(Vec<String>);

impl Settings {
    /// Reads from the process's environment.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads from anything that maps a name to a text.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { lookup: Box::new(lookup), faults: Vec::new() }
    }

    /// The same settings, but for one that is given here, in the place of a file that names it too.
    pub fn with(self, name: &'static str, value: String) -> Self {
        let lookup: Lookup = Box::new(move |asked| match asked.strip_prefix(name) {
            Some("") => Some(value.clone()),
            Some("_FILE") => None,
            _ => (self.lookup)(asked),
        });
        Self { lookup, faults: self.faults }
    }

    /// The setting, if it is set to something.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = (self.lookup)(name).filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.faults.push(format!("{name}: {fault}"));
                None
            }
        }
    }

    /// The setting, or `default` where it is not set.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    /// The setting; a fault where it is not set. `what` says what to set it to.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str, what: &str) -> Option<T> {
        let known = self.faults.len();
        let value = self.optional(name);
        if value.is_none() && self.faults.len() == known {
            self.faults.push(format!("{name} is not set; it is {what}"));
        }
        value
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` names.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file = (self.lookup)(&format!("{name}_FILE"));
        if let Some(path) = file.filter(|path| !path.is_empty()) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Some(text.trim_end().into()),
                Err(fault) => self.faults.push(format!("{name}_FILE: cannot read {path}: {fault}")),
            }
        }
        (self.lookup)(name).filter(|text| !text.is_empty()).map(Into::into)
    }

    /// The secret; a fault where it is not set. `what` says what to set it to.
    pub fn required_secret(&mut self, name: &str, what: &str) -> Option<SecretString> {
        let known = self.faults.len();
        let value = self.secret(name);
        if value.is_none() && self.faults.len() == known {
            self.faults.push(format!("{name} is not set; it is {what}"));
        }
        value
    }

    /// Adds a fault that the caller found.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// The configuration that `build` makes, or every fault found. `build` may return `None` only
    /// when a fault has been noted.
    pub fn finish<T>(self, built: Option<T>) -> Result<T, Faults> {
        match built {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(Faults(self.faults)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn all_faults_are_told_at_once() {
        let mut settings =
            Settings::from_lookup(|name| (name == "PORT").then(|| "many".to_owned()));
        let port = settings.or("PORT", 80_u16);
        let url = settings.required::<String>("URL", "the address of the store");
        let faults = settings.finish(url.map(|url| (port, url))).unwrap_err().to_string();
        assert!(
            faults.contains("PORT: invalid digit") && faults.contains("URL is not set"),
            "{faults}"
        );
    }

    #[test]
    fn what_is_given_wins_over_a_file() {
        let settings = Settings::from_lookup(|name| Some(format!("the environment's {name}")));
        let mut settings = settings.with("KEY", "given".to_owned());
        assert_eq!(settings.secret("KEY").unwrap().expose_secret(), "given");
        assert_eq!(settings.or("KEYS", String::new()), "the environment's KEYS");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let file = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
        std::fs::write(&file, "hush\n").unwrap();
        let path = file.display().to_string();
        let mut settings =
            Settings::from_lookup(move |name| (name == "KEY_FILE").then(|| path.clone()));
        assert_eq!(settings.secret("KEY").unwrap().expose_secret(), "hush");
        std::fs::remove_file(file).unwrap();
    }
}
