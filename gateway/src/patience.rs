//! A connection that does not wait for ever. A client that takes nothing is given up, and one that
//! was answered before it had sent everything gets the time to read the answer: closing a socket
//! with unread bytes in it would destroy what was sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// How long bytes that nobody wants are still read after the answer.
const LINGER: Duration = Duration::from_secs(5);

/// A TCP connection with time limits.
pub(crate) struct Patient {
    stream: TcpStream,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    doing: Doing,
}

#[derive(PartialEq, Eq)]
enum Doing {
    /// The last write was taken.
    Well,
    /// A write waits; the timer runs.
    Stalled,
    /// Everything is sent; the timer runs.
    Closing,
}

impl Patient {
    /// `stall` is the longest time in which the client takes none of the bytes for it.
    pub(crate) fn new(stream: TcpStream, stall: Duration) -> Self {
        Self { stream, stall, timer: Box::pin(sleep(stall)), doing: Doing::Well }
    }

    fn start(&mut self, doing: Doing, limit: Duration) {
        self.timer.as_mut().reset(Instant::now() + limit);
        self.doing = doing;
    }

    /// Watches over the outcome of a write.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.doing = Doing::Well;
            return write;
        }
        if self.doing == Doing::Well {
            self.start(Doing::Stalled, self.stall);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.doing != Doing::Closing {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.start(Doing::Closing, LINGER);
        }
        let mut unwanted = [0; 16 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut unwanted);
            if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut patient = Patient::new(stream, Duration::from_millis(50));
        let endless = async { while patient.write_all(&[0; 1 << 16]).await.is_ok() {} };
        endless.await;
        let error = patient.write_all(&[0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
