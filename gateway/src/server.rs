//! The gateway as a whole: opened, it knows its address; run, it serves until it is told to stop.

use crate::{Config, HttpConfig, connection, context::Context, routes};
use futures::future::BoxFuture;
use process::admin::Probe;
use queue::Queue;
use secrecy::ExposeSecret;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use storage::Storage;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at one time; further ones wait in the kernel. Each may hold 400 KiB of buffers.
const MOST_CONNECTIONS: usize = 1024;
/// Longest wait for what must be put away, after the requests in hand have ended.
const LAST_WORK: Duration = Duration::from_secs(5);
/// Pause after a failed accept: the process is out of descriptors, and trying at once burns the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A gateway that has its address and its stores.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    context: Arc<Context>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Storage cannot be opened.
    #[error("storage: {0}")]
    Storage(#[from] storage::Error),
    /// Messages cannot be opened.
    #[error("queue: {0}")]
    Queue(#[from] queue::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The HTTP client for auth cannot be made.
    #[error("the client for auth: {0}")]
    Client(#[from] reqwest::Error),
}

impl StartError {
    /// Whether waiting may mend it.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Storage(error) if error.may_pass())
    }
}

impl Server {
    /// Opens the stores that `config` names, and listens.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let storage = Storage::open(config.storage_url.expose_secret()).await?;
        let queue = Queue::open(config.queue_url.expose_secret()).await?;
        Self::with(config.http, storage, queue).await
    }

    /// Listens, over stores that are open already and may be shared.
    pub async fn with(
        http: HttpConfig,
        storage: Storage,
        queue: Queue,
    ) -> Result<Self, StartError> {
        let asked = http.listen;
        let listener =
            TcpListener::bind(asked).await.map_err(|error| StartError::Listen(asked, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(asked, error))?;
        let context = Context::new(http, storage, queue)?;
        Ok(Self { listener, address, context })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the admin port asks.
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(Ready(self.context.clone()))
    }

    /// Serves until `shutdown`; then takes no further connection, ends the requests in hand and puts
    /// away what clients left behind.
    pub async fn run(self, shutdown: CancellationToken) {
        tracing::info!(address = %self.address, "the gateway serves");
        let (routes, kill) = (routes::all(&self.context), CancellationToken::new());
        let (slots, connections) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), TaskTracker::new());
        while let Some((stream, peer)) = next(&self.listener, &shutdown).await {
            let Some(Ok(slot)) = shutdown.run_until_cancelled(slots.clone().acquire_owned()).await
            else {
                break;
            };
            let (context, routes) = (self.context.clone(), routes.clone());
            let (shutdown, kill) = (shutdown.clone(), kill.clone());
            let served = connection::serve(stream, peer.ip(), context, routes, shutdown, kill);
            connections.spawn(async move {
                served.await;
                drop(slot);
            });
        }
        drop(self.listener);
        self.context.stopping.cancel();
        connections.close();
        if timeout(self.context.http.drain, connections.wait()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "requests that do not end are broken off"
            );
            kill.cancel();
            connections.wait().await;
        }
        self.context.tasks.close();
        if timeout(LAST_WORK, self.context.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.context.tasks.len(),
                "unfinished uploads are left to the sweeper"
            );
        }
        tracing::info!("the gateway has stopped");
    }
}

struct Ready(Arc<Context>);

impl Probe for Ready {
    /// A broker that is away keeps no upload out: the record is the queue.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        let asked = self.0.storage.ping();
        Box::pin(async { asked.await.map_err(|error| error.to_string()) })
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        let under_way = self.0.http.max_uploads.saturating_sub(self.0.uploads.available_permits());
        metrics::gauge!("audio_converter_uploads_in_flight").set(under_way as f64);
        Box::pin(async {})
    }
}

/// The next connection; none once it is time to stop.
async fn next(
    listener: &TcpListener,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match shutdown.run_until_cancelled(listener.accept()).await? {
            Ok(connection) => return Some(connection),
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                shutdown.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
            }
        }
    }
}
