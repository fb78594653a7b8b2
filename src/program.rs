//! Finds `converter-job`, the program that this one never links.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
};

/// Beside this program, else where `configured` says, else wherever PATH leads.
pub(crate) fn converter_job(configured: Option<&Path>) -> PathBuf {
    let name = format!("converter-job{EXE_SUFFIX}");
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name));
    let beside = beside.filter(|path| path.is_file());
    beside.or_else(|| configured.map(Path::to_owned)).unwrap_or_else(|| name.into())
}
