//! The service from its start to its end: database, keys, first account, listener; then answers
//! until the token is cancelled.

use crate::{
    Config, Error, FirstAccount, account,
    database::Database,
    delay::Delays,
    gate::Gate,
    keys::Keys,
    routes::{Service, routes},
};
use futures::future::BoxFuture;
use process::admin::Probe;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;

/// Answers under way are given this long; an idle connection must not keep the process.
const DRAIN: Duration = Duration::from_secs(10);

/// The service, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    first_account: Option<FirstAccount>,
}

impl Server {
    /// Opens the database and brings it up to date, makes the first key and the first account where
    /// there are none, and listens.
    ///
    /// # Errors
    /// [`Error::Database`] when it is away, [`Error::Listen`] when the address is taken.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let database = Database::open(&config.database).await?;
        let keys = Keys::open(database.clone(), &config).await?;
        let first_account = account::first(&database, &config).await?;
        let unusable = |cause| Error::Listen { address: config.listen, cause };
        let listener = TcpListener::bind(config.listen).await.map_err(unusable)?;
        Ok(Self {
            address: listener.local_addr().map_err(unusable)?,
            listener,
            service: Arc::new(Service {
                database,
                gate: Gate::new(),
                keys,
                delays: Delays::default(),
                registration: config.registration,
                token_lifetime: config.token_lifetime,
            }),
            first_account,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator that this very start made with a random password. To be told once.
    pub fn first_account(&self) -> Option<&FirstAccount> {
        self.first_account.as_ref()
    }

    /// What the admin port asks.
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(Ready(Arc::clone(&self.service)))
    }

    /// Answers until the token is cancelled, then finishes what is under way.
    ///
    /// # Errors
    /// None today.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let patience = shutdown.clone();
        let served = warp::serve(routes(self.service))
            .incoming(self.listener)
            .graceful(shutdown.cancelled_owned())
            .run();
        tokio::select! {
            () = served => {}
            () = async { patience.cancelled().await; sleep(DRAIN).await } => {
                tracing::warn!("connections were still open at the end");
            }
        }
        Ok(())
    }
}

struct Ready(Arc<Service>);

impl Probe for Ready {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.0.database.ping().await.map_err(|error| error.to_string()) })
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Client, StatusCode};

    #[tokio::test]
    async fn a_login_under_way_is_answered_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::with_file(
            process::config::Settings::from_lookup(|_| None),
            folder.path().join("accounts.sqlite"),
        )
        .unwrap();
        config.listen.set_port(0);
        config.first_password = Some("a password".into());
        let server = Server::open(config).await.unwrap();
        let (service, address) = (Arc::clone(&server.service), server.address());
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(server.run(shutdown.clone()));

        let login = Client::new().post(format!("http://{address}/login"));
        let login = login.basic_auth("admin", Some("a password")).send();
        let held = service.gate.hold().await;
        let (login, ()) = tokio::join!(tokio::spawn(login), async {
            service.gate.taken().await;
            shutdown.cancel();
            while TcpListener::bind(address).await.is_err() {
                tokio::task::yield_now().await;
            }
            assert!(!served.is_finished());
            drop(held);
        });
        assert_eq!(login.unwrap().unwrap().status(), StatusCode::OK);
        served.await.unwrap().unwrap();
    }
}
