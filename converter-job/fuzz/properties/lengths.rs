//! What a file says of its own length: an honest one is never called cut off, one that is cut within its
//! last part always is, and of neither nor any other more is read than a few heads.

use super::{claims, honest, link::Shared, video::Video};
use crate::{attempt::serve, choices::Choices};
use std::io::Read;

/// Requests for bytes, for files as large as these.
const MOST_READS: usize = 100;

pub(crate) fn of_honest_and_cut_files(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let damage = choices.byte();
    let mut file = honest::of(&mut choices);
    let kind = file.bytes.first_chunk::<4>().copied();
    match damage % 4 {
        0 => assert_eq!(broken(&file.bytes), None, "{kind:?}"),
        1 => {
            let length = file.bytes.len();
            if file.last < length {
                let end = match choices.byte() % 4 {
                    0 => file.last,
                    1 => length - 1,
                    _ => file.last + choices.below(length - file.last),
                };
                let found = broken(&file.bytes[..end]);
                assert!(found.is_some(), "{kind:?} of {length} bytes is cut at {end}");
            }
        }
        2 => {
            while !choices.are_out() && !file.bytes.is_empty() {
                let at = choices.below(file.bytes.len());
                file.bytes[at] = choices.byte();
            }
            broken(&file.bytes);
        }
        _ => {
            broken(choices.bytes(usize::MAX));
        }
    }
}

/// What is found, after which the video begins anew.
fn broken(file: &[u8]) -> Option<String> {
    let mut found = None;
    let seen = serve(file, 1 << 16, |answers, requests| {
        let link = Shared::over(answers, requests);
        let mut video = Video::new(link.clone(), file.len() as u64);
        claims::foreign(&mut video);
        found = claims::broken(&mut video);
        let mut read = Vec::new();
        video.read_to_end(&mut read).unwrap();
        assert!(read == file[..usize::try_from(video.length()).unwrap()], "other bytes");
        assert_eq!(link.fault(), None);
    });
    assert!(seen.reads <= MOST_READS, "{} reads", seen.reads);
    found
}
