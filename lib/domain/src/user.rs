//! Who somebody is: a name that has been checked, and a role.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A user's name: 1 to 64 characters, none of them a control character, a colon (HTTP Basic
/// separates with it) or white space at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// The name breaks the rules of [`UserName`].
#[derive(Debug, thiserror::Error)]
#[error(
    "a user name has 1 to 64 characters, no colon, no control character and no space at its ends"
)]
pub struct BadUserName;

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserName {
    type Error = BadUserName;
    fn try_from(name: String) -> Result<Self, BadUserName> {
        let length = name.chars().count();
        let clean = name.trim() == name && !name.chars().any(|c| c == ':' || c.is_control());
        if (1..=64).contains(&length) && clean { Ok(Self(name)) } else { Err(BadUserName) }
    }
}

impl FromStr for UserName {
    type Err = BadUserName;
    fn from_str(name: &str) -> Result<Self, BadUserName> {
        Self::try_from(name.to_owned())
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Their own videos and conversions.
    User,
    /// Also the accounts of others.
    Admin,
}

impl Role {
    /// The word for it in databases and claims.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["ada", "ada@example.org", "Ада Лавлейс", &"x".repeat(64)] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        for bad in ["", " ada", "a:b", "a\nb", &"x".repeat(65)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
    }
}
