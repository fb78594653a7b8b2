//! What a file says of itself, without a file: in place of the module that asks FFmpeg.

use std::{collections::BTreeMap, ffi::CStr};

/// Stands for an open file.
#[derive(Default)]
pub(crate) struct Input {
    pub(crate) texts: BTreeMap<&'static str, String>,
    pub(crate) chapters: Vec<Chapter>,
    pub(crate) cover: Option<Vec<u8>>,
}

/// As in the real module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chapter {
    pub(crate) start_ms: u32,
    pub(crate) end_ms: u32,
    pub(crate) title: Option<String>,
}

pub(crate) fn text(input: &Input, _track: usize, key: &CStr) -> Option<String> {
    input.texts.get(key.to_str().ok()?).cloned()
}

pub(crate) fn chapters(input: &Input) -> Vec<Chapter> {
    input.chapters.clone()
}

pub(crate) fn cover(input: &Input) -> Option<&[u8]> {
    input.cover.as_deref()
}
