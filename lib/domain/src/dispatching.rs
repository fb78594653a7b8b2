//! The switch that stops dispatching; uploads are accepted all the same.

use crate::UserName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether waiting conversions are given jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatching {
    /// Whether they are not.
    pub paused: bool,
    /// Who switched last.
    pub by: Option<UserName>,
    /// When.
    pub at: Option<Timestamp>,
}
