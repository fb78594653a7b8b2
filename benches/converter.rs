//! `converter-job local` against the ffmpeg command line and MoviePy.

mod memory;
mod run;
mod speed;
mod start;

pub(crate) use memory::measure as memory;
pub(crate) use speed::{against_ffmpeg, against_moviepy, copies, full_node};
pub(crate) use start::measure as start;
