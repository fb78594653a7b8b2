//! The commands about conversions that are at a server.

pub(crate) mod change;
pub(crate) mod download;
pub(crate) mod list;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod waveform;
pub(crate) mod which;
