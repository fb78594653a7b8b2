//! What is found where an installation is looked at: a line for people, an object for programs.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, as `queue video`.
    pub what: String,
    /// How it is.
    pub state: Condition,
    /// What was seen.
    pub detail: String,
    /// What to do, with a command where there is one; none where all is well.
    pub fix: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// As it must be.
    Ok,
    /// It works so far.
    Warn,
    /// Something does not work.
    Fail,
}

impl Finding {
    /// It is as it must be.
    pub fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), state: Condition::Ok, detail: detail.into(), fix: None }
    }

    /// It works so far.
    pub fn warn(
        what: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { state: Condition::Warn, fix: Some(fix.into()), ..Self::ok(what, detail) }
    }

    /// It does not work.
    pub fn fail(
        what: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { state: Condition::Fail, ..Self::warn(what, detail, fix) }
    }
}
