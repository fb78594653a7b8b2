//! The reader gives the video's bytes, whatever is read, sought and said between.

use super::{link::Shared, video::Video};
use crate::{
    attempt::{file, serve},
    choices::Choices,
    protocol::{Header, Job, Request},
};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::LazyLock,
};

/// Bytes of which no two stretches are alike, more than a few of the largest blocks.
static VIDEO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
});
/// Steps of one course.
const MOST: usize = 40;
/// The longest answer.
const LARGEST: u64 = 512 << 10;

/// Against an attempt that does its part.
pub(crate) fn gives_the_videos_bytes(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let length = if choices.byte() < 128 { VIDEO.len() } else { choices.size(21) };
    let video = &VIDEO[..length];
    let pipe = choices.one_of(&[4 << 10, 64 << 10, 256 << 10, 1 << 20]);
    serve(video, pipe, |answers, requests| {
        let link = Shared::over(answers, requests);
        let mut read = Course::new(&link, video);
        for _ in 0..MOST {
            if choices.are_out() {
                break;
            }
            read = read.step(&mut choices);
        }
        assert_eq!(link.fault(), None);
        assert!(link.furthest() <= video.len() as u64);
    });
}

/// A reader, and what is to be true of it.
struct Course<'a> {
    link: &'a Shared,
    video: &'a [u8],
    reader: Video,
    length: u64,
    position: u64,
}

impl<'a> Course<'a> {
    fn new(link: &'a Shared, video: &'a [u8]) -> Self {
        let length = video.len() as u64;
        link.begin();
        Self { link, video, reader: Video::new(link.clone(), length), length, position: 0 }
    }

    fn step(mut self, choices: &mut Choices<'_>) -> Self {
        match choices.byte() % 8 {
            0 => self.read(choices.size(18)),
            1 | 2 => (0..4).for_each(|_| self.read(100_000)),
            3 => self.seek(SeekFrom::Start(choices.below(self.video.len() + 100) as u64)),
            4 => {
                let by = choices.size(21).cast_signed() as i64;
                self.seek(SeekFrom::Current(if choices.byte() < 128 { -by } else { by }));
            }
            5 => self.seek(match choices.byte() % 3 {
                0 => SeekFrom::Start(choices.number()),
                1 => SeekFrom::Current(choices.number().cast_signed()),
                _ => SeekFrom::End(choices.number().cast_signed()),
            }),
            6 => {
                // The MP3's bytes go the same way.
                let bytes = vec![0; 1 + choices.size(17)].into();
                self.link.send(&Request::Append(bytes)).unwrap();
            }
            _ if choices.byte() < 64 => self = Self::new(self.link, self.video),
            _ => {
                let length = choices.below(self.video.len() + 2) as u64;
                self.reader.shorten(length);
                self.length = self.length.min(length);
            }
        }
        self
    }

    fn read(&mut self, most: usize) {
        let mut buffer = vec![0; most];
        let read = self.reader.read(&mut buffer).unwrap();
        let start = usize::try_from(self.position.min(self.length)).unwrap();
        let rest = &self.video[start..usize::try_from(self.length).unwrap()];
        assert!(read <= rest.len(), "{read} bytes of {}", rest.len());
        assert!(buffer[..read] == rest[..read], "other bytes");
        assert_eq!(read == 0, most == 0 || rest.is_empty(), "an end where none is");
        self.position += read as u64;
        assert!(read == 0 || self.link.furthest() >= self.position);
    }

    fn seek(&mut self, to: SeekFrom) {
        let wanted = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        assert_eq!(self.reader.seek(to).ok(), wanted);
        self.position = wanted.unwrap_or(self.position);
    }
}

/// Whatever the answers are: an end, or an error that the link keeps.
pub(crate) fn takes_any_answers(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    // No file has more.
    let length = if choices.byte() < 128 { choices.size(20) as u64 } else { choices.number() >> 1 };
    let mut steps = Choices::new(choices.bytes(32));
    let link = Shared::over(file(&answers(&mut choices)), file(&[]));
    let mut reader = Video::new(link.clone(), length);
    let mut buffer = vec![0; 4096];
    while !steps.are_out() {
        let most = steps.size(12);
        match reader.read(&mut buffer[..most]) {
            Ok(read) => {
                assert!(read <= most);
                // An answer is no longer than one that may be asked for.
                assert!(link.furthest() <= reader.length() + LARGEST);
            }
            Err(error) => {
                // The reader's caller takes it for the end; what is true stands in the link.
                assert!(link.fault().is_some(), "{error}");
                return;
            }
        }
        if steps.byte().is_multiple_of(4) {
            let _ = reader.seek(SeekFrom::Start(steps.number()));
        }
    }
}

/// Answers, most of which look like some.
fn answers(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    while !choices.are_out() {
        let length = choices.size(20);
        match choices.byte() % 8 {
            0 => all.extend(choices.bytes(length)),
            1 => all.extend(Header::encode(choices.byte(), length)),
            _ => {
                all.extend(Header::encode(Header::DATA, length));
                all.resize(all.len() + length, 0x55);
            }
        }
    }
    all
}

/// The job that the decoder takes from its pipe.
pub(crate) fn job_through_a_link(answers: File) -> Job {
    Shared::over(answers, file(&[])).job().unwrap()
}
