//! The commands about conversions that are at a server.

pub(crate) mod change;
pub(crate) mod download;
pub(crate) mod list;
pub(crate) mod status;
pub(crate) mod which;
