//! A TCP proxy between two parts, on a thread of its own: it passes bytes on until a test has it do
//! harm. Harm to the connections that there are (cut, reset in the middle of a frame, an answer
//! swallowed) is done once; refusing and slowing last until `pass`.

use crate::Result;
use anyhow::Context;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// A running proxy; ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Rules {
    refusing: AtomicBool,
    /// Bytes a second, each way; 0 where there is no limit.
    speed: AtomicU64,
    links: Mutex<Vec<Weak<Link>>>,
    harmed: AtomicUsize,
}

/// One connection.
struct Link {
    cut: CancellationToken,
    /// Bytes that may pass before it is reset.
    left: AtomicI64,
    /// Whether what the server says next is lost, and the connection with it.
    swallowing: AtomicBool,
}

impl Proxy {
    /// A proxy on this machine's loopback to `to`, a `host:port`.
    pub(crate) fn to(to: &str) -> Result<Self> {
        Self::start(TcpListener::bind("127.0.0.1:0")?, to)
    }

    /// A proxy that takes connections from `listener`, which may be one of another network.
    pub(crate) fn start(listener: TcpListener, to: &str) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (rules, end, to) = (Arc::<Rules>::default(), CancellationToken::new(), to.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = end.clone().run_until_cancelled_owned(serve(listener, to, rules.clone()));
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            if let Some(Err(error)) = runtime.block_on(serving) {
                eprintln!("a proxy ended: {error:#}");
            }
        });
        Ok(Self { address, rules, end, thread: Some(thread.context("a thread")?) })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything passes.
    pub(crate) fn pass(&self) {
        self.rules.refusing.store(false, SeqCst);
        self.rules.speed.store(0, SeqCst);
    }

    /// Resets every connection, old and new, until `pass`.
    pub(crate) fn refuse(&self) {
        self.rules.refusing.store(true, SeqCst);
        self.cut();
    }

    /// Passes so many bytes a second, each way of each connection, until `pass`.
    pub(crate) fn slow(&self, bytes_a_second: u64) {
        self.rules.speed.store(bytes_a_second.max(1), SeqCst);
    }

    /// Resets every connection that there is.
    pub(crate) fn cut(&self) {
        self.each_link(|link| link.cut.cancel());
    }

    /// Resets every connection that there is once so many more bytes have passed: in the middle of
    /// whatever is said then.
    pub(crate) fn reset_after(&self, bytes: u32) {
        self.each_link(|link| link.left.store(bytes.into(), SeqCst));
    }

    /// Of every connection that there is, the server still hears what it is asked, and what it
    /// answers is lost: the deed is done and nobody is told.
    pub(crate) fn swallow_answers(&self) {
        self.each_link(|link| link.swallowing.store(true, SeqCst));
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.rules.links().iter().filter(|link| link.strong_count() > 0).count()
    }

    /// How many connections were reset on purpose so far.
    pub(crate) fn harmed(&self) -> usize {
        self.rules.harmed.load(SeqCst)
    }

    fn each_link(&self, harm: impl Fn(&Link)) {
        self.rules.links().iter().filter_map(Weak::upgrade).for_each(|link| harm(&link));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Rules {
    fn links(&self) -> MutexGuard<'_, Vec<Weak<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> Arc<Link> {
        let link = Arc::new(Link {
            cut: CancellationToken::new(),
            left: i64::MAX.into(),
            swallowing: false.into(),
        });
        let mut links = self.links();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        link
    }
}

async fn serve(listener: TcpListener, to: String, rules: Arc<Rules>) -> Result {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(connection(client, to.clone(), rules.clone()));
    }
}

/// One connection, from its beginning to its end or to the harm that it comes to.
async fn connection(mut client: TcpStream, to: String, rules: Arc<Rules>) {
    let link = rules.add();
    let server = if rules.refusing.load(SeqCst) { None } else { TcpStream::connect(to).await.ok() };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let passed = async {
        let up = carry(from_client, to_server, &link, &rules, false);
        let down = carry(from_server, to_client, &link, &rules, true);
        tokio::try_join!(up, down).map(drop)
    };
    let ended = tokio::select! {
        passed = passed => passed,
        () = link.cut.cancelled() => Err(End::Harm),
    };
    if let Err(End::Harm) = ended {
        rules.harmed.fetch_add(1, SeqCst);
    }
    if ended.is_err() {
        // Closed with a RST instead of a FIN.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Why a connection did not end in good order.
enum End {
    Harm,
    /// One of the two parts is gone.
    Lost,
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Lost
    }
}

/// How often a slowed direction passes its share on.
const BEAT: Duration = Duration::from_millis(50);

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    link: &Link,
    rules: &Rules,
    answers: bool,
) -> std::result::Result<(), End> {
    let (mut buffer, mut beats) = (vec![0; 64 << 10], tokio::time::interval(BEAT));
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut most = buffer.len();
        let speed = rules.speed.load(SeqCst);
        if speed > 0 {
            beats.tick().await;
            most = usize::try_from(speed / 20).unwrap_or(most).clamp(1, most);
        }
        let count = from.read(&mut buffer[..most]).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        if answers && link.swallowing.load(SeqCst) {
            return Err(End::Harm);
        }
        let left = link.left.fetch_sub(count as i64, SeqCst).clamp(0, count as i64);
        to.write_all(&buffer[..left as usize]).await?;
        if left < count as i64 {
            return Err(End::Harm);
        }
    }
}
