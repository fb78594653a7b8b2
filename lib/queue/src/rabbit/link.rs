//! Connecting, and how long to wait before the next attempt.

use lapin::{
    Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, OwnedTLSConfig},
    uri::AMQPUri,
};
use std::{io, sync::Arc, time::Duration};
use tokio::time;

/// Seconds of silence after which either side gives the other up. A dead peer is noticed within
/// twice that; proxies between us cut idle connections at 60 s or more.
const HEARTBEAT: u16 = 20;
/// Bytes of a frame. lapin keeps room for 64 of them per connection: 8 MiB at the broker's 128 KiB,
/// 1 MiB at this. Our messages are small; larger ones take more frames.
const FRAME_MAX: u32 = 16 << 10;
/// For TCP and TLS; lapin itself would wait for as long as the kernel does, about two minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the AMQP handshake too. lapin cannot give up a handshake, so that each one given up here keeps
/// a thread until its peer speaks or dies: hence far longer than any handshake takes.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// For what is asked of a fresh connection. A quorum queue without a leader does not answer at all.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);

/// The wait before the next attempt: from 0.1 s, doubled up to 5 s.
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) async fn wait(&mut self) {
        time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}

/// The address with our heartbeat and frame size, unless it names others.
pub(super) fn tuned(mut uri: AMQPUri) -> AMQPUri {
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    uri.query.frame_max.get_or_insert(FRAME_MAX);
    uri
}

/// Connects; `name` is what operators see in the broker's list of connections.
pub(super) async fn connect(uri: &AMQPUri, name: &str) -> lapin::Result<Connection> {
    // Without lapin's own recovery: it replays what it knew, and we must see what the broker has.
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    let tls = Arc::new(OwnedTLSConfig::default());
    let dial = async move |uri: AMQPUri, runtime| {
        let stream =
            AMQPUriTcpExt::connect_with_config_async(&uri, tls.as_ref().as_ref(), &runtime);
        within(CONNECT_TIMEOUT, async { stream.await.map_err(lapin::Error::from) }).await
    };
    let connection = Connection::connector(uri.clone(), runtime, dial, properties);
    within(HANDSHAKE_TIMEOUT, connection).await
}

/// Gives a fresh connection's declarations and the like a bounded time.
pub(super) async fn set_up<T>(asking: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    within(SETUP_TIMEOUT, asking).await
}

async fn within<T>(
    limit: Duration,
    doing: impl Future<Output = lapin::Result<T>>,
) -> lapin::Result<T> {
    let timed_out = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    time::timeout(limit, doing).await.unwrap_or_else(timed_out)
}
