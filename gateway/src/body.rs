//! The body of a request as it arrives: bounded in length, and in how long its client may keep
//! everybody waiting. Nothing here gathers more than it is asked for.

use crate::error::Error;
use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longest silence of a client that is sending.
const IDLE: Duration = Duration::from_secs(30);
/// A client that has been waited for this long must have sent [`SLOWEST`] bytes a second.
const PATIENCE: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 1024;
/// Longest wait for one client in all.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The bytes of a request, in order.
pub(crate) type Body = BoxStream<'static, Result<Bytes, Error>>;

/// Takes the body from warp, without a copy.
pub(crate) fn from_warp<S, B>(body: S) -> Body
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    body.map_ok(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))
        .map_err(|error| Error::ClientGone(error.to_string()))
        .boxed()
}

/// The same bytes, or an error once there are more than `limit` or they come too slowly.
pub(crate) fn bounded(body: Body, limit: u64) -> Body {
    within(body, limit, IDLE)
}

fn within(body: Body, limit: u64, idle: Duration) -> Body {
    let meter = Meter { limit, received: 0, waited: Duration::ZERO };
    stream::try_unfold((body, meter), move |(mut body, mut meter)| async move {
        let asked = Instant::now();
        let Some(chunk) = timeout(idle, body.next()).await.map_err(|_| Error::TooSlow)? else {
            return Ok(None);
        };
        let chunk = chunk?;
        meter.add(chunk.len() as u64, asked.elapsed())?;
        Ok(Some((chunk, (body, meter))))
    })
    .boxed()
}

/// What one client has sent, and how long it was waited for. A slow disk is not its fault.
struct Meter {
    limit: u64,
    received: u64,
    waited: Duration,
}

impl Meter {
    fn add(&mut self, length: u64, waited: Duration) -> Result<(), Error> {
        self.received += length;
        self.waited += waited;
        if self.received > self.limit {
            return Err(Error::TooLarge(self.limit));
        }
        let crawls = self.waited > PATIENCE && self.received < SLOWEST * self.waited.as_secs();
        if crawls || self.waited > LONGEST {
            return Err(Error::TooSlow);
        }
        Ok(())
    }
}

/// A body that must be short, whole.
pub(crate) async fn short(body: Body, limit: u64) -> Result<Vec<u8>, Error> {
    let mut body = bounded(body, limit);
    let mut whole = Vec::new();
    while let Some(chunk) = body.try_next().await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_measured_by_its_own_time() {
        let mut meter = Meter { limit: 100_000, received: 0, waited: Duration::ZERO };
        assert!(meter.add(1, Duration::from_secs(30)).is_ok());
        assert!(matches!(meter.add(1, Duration::from_secs(1)), Err(Error::TooSlow)));
        assert!(meter.add(99_998, Duration::from_secs(1)).is_ok());
        assert!(matches!(meter.add(1, Duration::ZERO), Err(Error::TooLarge(100_000))));
    }

    #[tokio::test]
    async fn a_silent_client_is_given_up() {
        let silent = stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending());
        let mut body = within(silent.boxed(), 10, Duration::from_millis(20));
        assert!(body.try_next().await.is_ok());
        assert!(matches!(body.try_next().await, Err(Error::TooSlow)));
    }
}
