//! The name of a batch: given by whoever asks for it, so that asking again is safe, or made up.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A batch's name: 1 to 40 characters from `a-z`, `0-9` and `-`, no `-` at either end. So it is a
/// Kubernetes label and a part of an address as it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(String);

/// The name breaks the rules of [`BatchId`].
#[derive(Debug, thiserror::Error)]
#[error("a batch's id has 1 to 40 characters from a-z, 0-9 and -, and no - at its ends")]
pub struct BadBatchId;

impl BatchId {
    /// Makes a name up. New ones sort by time.
    pub fn generate() -> Self {
        Self(format!("batch-{}", Uuid::now_v7().simple()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BatchId {
    type Error = BadBatchId;
    fn try_from(name: String) -> Result<Self, BadBatchId> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (1..=40).contains(&name.len())
            && name.starts_with(plain)
            && name.ends_with(plain)
            && name.chars().all(|c| plain(c) || c == '-');
        if fits { Ok(Self(name)) } else { Err(BadBatchId) }
    }
}

impl FromStr for BatchId {
    type Err = BadBatchId;
    fn from_str(name: &str) -> Result<Self, BadBatchId> {
        Self::try_from(name.to_owned())
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
