//! The decoder's end of the two pipes. Reader, writer and main loop share it; one thread uses it.

use crate::protocol::{HEADER, Header, Job, MAX_BLOCK, Request};
use rustix::pipe::fcntl_getpipe_size;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The pipes, shared.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Link>>);

struct Link {
    answers: File,
    requests: File,
    /// The first error; after it nothing that was read or written counts.
    fault: Option<String>,
    /// The end of the furthest bytes read.
    reached: u64,
    /// Bytes of answers that wait in the pipe without anybody reading them.
    room: u32,
}

impl Shared {
    /// Takes standard input and output, past the buffers of the standard library.
    pub(super) fn open() -> io::Result<Self> {
        let answers: File = io::stdin().as_fd().try_clone_to_owned()?.into();
        let requests = io::stdout().as_fd().try_clone_to_owned()?.into();
        Ok(Self::over(answers, requests))
    }

    /// Takes these two.
    pub(super) fn over(answers: File, requests: File) -> Self {
        let room = fcntl_getpipe_size(&answers).ok();
        let room = room.and_then(|room| u32::try_from(room).ok()).unwrap_or(0);
        let link = Link { answers, requests, fault: None, reached: 0, room };
        Self(Arc::new(Mutex::new(link)))
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job, which comes first.
    pub(super) fn job(&self) -> io::Result<Job> {
        let mut payload = Vec::new();
        self.lock().answer(Header::JOB, 4096, &mut payload)?;
        serde_json::from_slice(&payload).map_err(io::Error::other)
    }

    /// Says something that needs no answer.
    pub(super) fn send(&self, request: &Request) -> io::Result<()> {
        self.lock().note(|link| link.requests.write_all(&request.encode()))
    }

    /// Says something that is no reason to end where it cannot be said: a broken pipe shows later.
    pub(super) fn tell(&self, request: &Request) {
        let _ = self.send(request);
    }

    /// Asks for bytes of the video. Each request is answered, in order.
    pub(super) fn ask(&self, offset: u64, length: u32) -> io::Result<()> {
        self.send(&Request::Read { offset, length })
    }

    /// Receives the answer to the oldest request that has none.
    pub(super) fn receive(&self, most: u32, block: &mut Vec<u8>) -> io::Result<()> {
        self.lock().note(|link| link.answer(Header::DATA, most as usize, block))
    }

    /// Bytes of answers that wait in the pipe without anybody reading them.
    pub(super) fn room(&self) -> u32 {
        self.lock().room
    }

    /// Forgets how far the video has been read.
    pub(super) fn begin(&self) {
        self.lock().reached = 0;
    }

    /// Notes how far the video has been read.
    pub(super) fn reached(&self, end: u64) {
        let mut link = self.lock();
        link.reached = link.reached.max(end);
    }

    /// Notes that an answer was none; its reader would take the error for the end of the video.
    pub(super) fn fail<T>(&self, error: io::Error) -> io::Result<T> {
        self.lock().note(|_| Err(error))
    }

    /// What broke the pipes, if something did.
    pub(super) fn fault(&self) -> Option<String> {
        self.lock().fault.clone()
    }

    /// The end of the furthest bytes read.
    pub(super) fn furthest(&self) -> u64 {
        self.lock().reached
    }
}

impl Link {
    fn note<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let done = work(self);
        if let (Err(error), None) = (&done, &self.fault) {
            self.fault = Some(format!("the attempt is gone: {error}"));
        }
        done
    }

    fn answer(&mut self, kind: u8, most: usize, payload: &mut Vec<u8>) -> io::Result<()> {
        let mut header = [0; HEADER];
        self.answers.read_exact(&mut header)?;
        let header = Header::parse(header).map_err(io::Error::other)?;
        if header.kind != kind || header.length > most.min(MAX_BLOCK) {
            return Err(io::Error::other("an answer that was not asked for"));
        }
        payload.resize(header.length, 0);
        self.answers.read_exact(payload)
    }
}
