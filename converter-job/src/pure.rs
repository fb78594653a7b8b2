//! What of this program needs no FFmpeg, as a library for `fuzz/`; the program itself has no use for it.
//!
//! Another module that is to be fuzzed gets its line among those of the decoder, and its property a file
//! in `fuzz/properties` and a line in `PROPERTIES`: `make fuzz` and `make test` then run it.

#![expect(dead_code, reason = "some of it is for modules that are not here")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "where a property does not hold, a panic says so"
)]

// Stand-ins, under the names by which the modules call the real ones.
extern crate self as ffmpeg_next;
extern crate self as storage;

#[path = "../fuzz/properties/attempt.rs"]
mod attempt;
#[path = "../fuzz/properties/choices.rs"]
mod choices;
mod protocol;
#[path = "../fuzz/properties/wire.rs"]
mod wire;

mod decoder {
    mod claims;
    mod header;
    #[path = "../../fuzz/properties/honest.rs"]
    mod honest;
    mod layer3;
    #[path = "../../fuzz/properties/lengths.rs"]
    pub(crate) mod lengths;
    #[path = "../../fuzz/properties/libav.rs"]
    pub(crate) mod libav;
    mod link;
    mod mp3;
    #[path = "../../fuzz/properties/reader.rs"]
    pub(crate) mod reader;
    mod tags;
    #[path = "../../fuzz/properties/texts.rs"]
    pub(crate) mod texts;
    mod video;
    #[path = "../../fuzz/properties/writer.rs"]
    pub(crate) mod writer;

    /// As in the program, but for what needs FFmpeg.
    pub(crate) enum Stop {
        Trouble(String),
    }
}

use decoder::{lengths, reader, texts, writer};

/// Something that holds whatever the bytes are from which its course is chosen; else it panics.
pub type Property = fn(&[u8]);

/// All of them.
pub const PROPERTIES: [(&str, Property); 8] = [
    ("requests", wire::requests),
    ("frames", wire::frames),
    ("jobs", wire::jobs),
    ("reader", reader::gives_the_videos_bytes),
    ("answers", reader::takes_any_answers),
    ("writer", writer::equals_a_file),
    ("lengths", lengths::of_honest_and_cut_files),
    ("texts", texts::are_kept),
];

/// As in `storage`.
pub const PATCHABLE: u64 = 252 << 10;

/// As in `ffmpeg-next`.
pub mod format {
    /// An open file.
    pub(crate) mod context {
        pub(crate) use crate::decoder::libav::Input;
    }
}
