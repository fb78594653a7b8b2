//! The attempt as the decoder meets it: it takes one request after the other, and gives each answer
//! whole before it looks at the next.

use crate::protocol::{HEADER, Header, MAX_BLOCK, Request};
use bytes::Bytes;
use rustix::{fs::MemfdFlags, pipe::fcntl_setpipe_size};
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, Write},
    os::fd::OwnedFd,
    thread,
};

/// What an attempt has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) mp3: Vec<u8>,
    /// Requests for bytes of the video.
    pub(crate) reads: usize,
}

/// Has `work` speak through two pipes, with an attempt that has this video at their other ends; what it
/// saw, when all is said.
pub(crate) fn serve(video: &[u8], pipe: usize, work: impl FnOnce(File, File)) -> Seen {
    let (answers, mut answering) = io::pipe().unwrap();
    let (mut requested, requests) = io::pipe().unwrap();
    // A wish: an ordinary user has only so much.
    let _ = fcntl_setpipe_size(&answering, pipe);
    let mut left = answers.try_clone().unwrap();
    let seen = thread::scope(|scope| {
        let attempt = scope.spawn(move || {
            let mut seen = Seen::default();
            while let Some(request) = next(&mut requested) {
                seen.take(request, video, &mut answering);
            }
            seen
        });
        work(OwnedFd::from(answers).into(), OwnedFd::from(requests).into());
        attempt.join().unwrap()
    });
    assert_eq!(left.read(&mut [0]).unwrap(), 0, "an answer that nobody has read");
    seen
}

impl Seen {
    fn take(&mut self, request: Request, video: &[u8], answering: &mut impl Write) {
        match request {
            Request::Read { offset, length } => {
                self.reads += 1;
                let start = usize::try_from(offset).unwrap().min(video.len());
                let end = video.len().min(start + length as usize);
                let header = Header::encode(Header::DATA, end - start);
                // Whoever has gone needs no answer.
                let _ = answering.write_all(&[&header[..], &video[start..end]].concat());
            }
            other => self.write(other),
        }
    }

    /// Does to the MP3 what is asked for.
    pub(crate) fn write(&mut self, request: Request) {
        match request {
            Request::Append(bytes) => self.mp3.extend_from_slice(&bytes),
            Request::Patch { offset, bytes } => {
                let start = usize::try_from(offset).unwrap();
                let there = self.mp3.get_mut(start..start + bytes.len());
                there.expect("a patch of what is not there").copy_from_slice(&bytes);
            }
            other => unreachable!("{other:?}"),
        }
    }
}

/// The next request, which has to be well-formed; `None` behind the last.
pub(crate) fn next(requests: &mut impl Read) -> Option<Request> {
    let mut header = [0; HEADER];
    match requests.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
        read => read.unwrap(),
    }
    let header = Header::parse(header).unwrap();
    let mut payload = vec![0; header.length];
    requests.read_exact(&mut payload).unwrap();
    let request = Request::decode(header, Bytes::from(payload)).unwrap();
    if let Request::Append(bytes) | Request::Patch { bytes, .. } = &request {
        assert!(bytes.len() <= MAX_BLOCK);
    }
    Some(request)
}

/// A file in memory, at its beginning.
pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = File::from(rustix::fs::memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}
