//! The admin port: whether the process lives, whether it is ready, and its metrics. It has no
//! credentials and shows no user's data; it is for probes and Prometheus, not for the world.
//!
//! What must hold: `/healthz` asks no other server, so that an outage elsewhere restarts nobody;
//! nothing is measured by a timer, what needs a query is asked when somebody looks.

mod patience;

use futures::future::{BoxFuture, join_all};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use warp::{
    Filter, Reply,
    http::{StatusCode, header::CONTENT_TYPE},
    reply::{Response, with_header, with_status},
};

/// For what a service asks others before it says that it is ready, or before it shows its metrics.
const PATIENCE: Duration = Duration::from_secs(3);
/// Upper bounds in seconds: from a single read to an hour of conversion.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 900.0, 3600.0,
];

/// What the admin port asks of a service.
pub trait Probe: Send + Sync {
    /// Whether it still does its work; asks nobody.
    fn is_alive(&self) -> bool {
        true
    }

    /// Why it cannot serve now, if so.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Brings those metrics up to date that are asked for only when somebody looks.
    fn look(&self) -> BoxFuture<'_, ()>;
}

/// The admin port of a process.
#[derive(Clone)]
pub struct Admin {
    state: Arc<State>,
}

struct State {
    /// None where there is no admin port; nothing is measured then.
    metrics: Option<PrometheusHandle>,
    probes: Mutex<Vec<Arc<dyn Probe>>>,
    /// Why no probe speaks yet.
    waiting: Mutex<String>,
    stopping: CancellationToken,
}

/// Why the admin port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address.
    #[error("cannot listen on ADMIN_LISTEN {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// There is one already.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
}

impl Admin {
    /// Listens on `address`, if there is one, and answers until `stopping` is cancelled and a moment
    /// longer. From its start the process is alive, and not ready before a probe says so.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn open(
        service: &'static str,
        address: Option<SocketAddr>,
        stopping: CancellationToken,
    ) -> Result<Self, Error> {
        let Some(address) = address else {
            return Ok(Self { state: Arc::new(State::new(None, stopping)) });
        };
        let unusable = |error| Error::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let builder = PrometheusBuilder::new();
        let builder =
            builder.set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), SECONDS)?;
        let metrics = builder.install_recorder()?;
        let version = env!("CARGO_PKG_VERSION");
        metrics::gauge!("audio_converter_build_info", "service" => service, "version" => version)
            .set(1.0);
        let state = Arc::new(State::new(Some(metrics), stopping));
        tokio::spawn(warp::serve(routes(state.clone())).incoming(listener).run());
        tracing::info!(%address, "the admin port answers");
        Ok(Self { state })
    }

    /// From now on the service speaks for itself.
    pub fn ask(&self, probe: Arc<dyn Probe>) {
        self.state.probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
    }
}

fn routes(
    state: Arc<State>,
) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone {
    let state = warp::any().map(move || state.clone());
    let alive = warp::path!("healthz").and(state.clone()).then(async |state: Arc<State>| {
        let alive = state.probes().iter().all(|probe| probe.is_alive());
        answer(if alive { Ok(()) } else { Err("the main loop stands still".to_owned()) })
    });
    let ready = warp::path!("readyz")
        .and(state.clone())
        .then(async |state: Arc<State>| answer(state.ready().await));
    let metrics = warp::path!("metrics").and(state).then(async |state: Arc<State>| {
        let text = state.render().await;
        with_header(text, CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8").into_response()
    });
    warp::get().and(alive.or(ready).unify().or(metrics).unify())
}

fn answer(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(why) => {
            with_status(format!("{why}\n"), StatusCode::SERVICE_UNAVAILABLE).into_response()
        }
    }
}

impl State {
    fn new(metrics: Option<PrometheusHandle>, stopping: CancellationToken) -> Self {
        let waiting = Mutex::new("starting".to_owned());
        Self { metrics, probes: Mutex::default(), waiting, stopping }
    }

    fn probes(&self) -> Vec<Arc<dyn Probe>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ready(&self) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("stopping".to_owned());
        }
        let probes = self.probes();
        if probes.is_empty() {
            return Err(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        let all = timeout(PATIENCE, join_all(probes.iter().map(|probe| probe.ready()))).await;
        all.map_err(|_| "what it needs does not answer".to_owned())?.into_iter().collect()
    }

    async fn render(&self) -> String {
        let probes = self.probes();
        // What cannot be asked now keeps the value that it had.
        let _ = timeout(PATIENCE, join_all(probes.iter().map(|probe| probe.look()))).await;
        self.metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }
}
