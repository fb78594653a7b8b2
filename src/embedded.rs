//! Every service in one process, over the back ends that need no other: files and SQLite.
//!
//! What must hold: they run together or not at all. Auth listens on a loopback port of its own, and
//! the gateway asks it over HTTP, as in a cluster.

use crate::{
    config::{Config, of_services},
    data::Data,
    error::Error,
    program,
};
use auth::FirstAccount;
use dispatcher::Dispatcher;
use gateway::HttpConfig;
use process::admin::Admin;
use queue::Queue;
use std::{
    fmt::Display,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};
use storage::Storage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The whole system, ready to run.
pub(crate) struct Embedded {
    auth: auth::Server,
    gateway: gateway::Server,
    dispatcher: Dispatcher,
    data: Data,
    stop: CancellationToken,
}

impl Embedded {
    /// Opens everything in `data` and listens. `stop` ends what it starts.
    pub(crate) async fn open(
        listen: SocketAddr,
        data: Data,
        config: &Config,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let converter = program::converter_job(config.converter_job.as_deref());
        let folder = data.folder().display().to_string();
        let url = format!("file:{folder}");
        let accounts = data.folder().join("accounts.sqlite");
        let mut accounts = auth::Config::with_file(of_services(), accounts)?;
        accounts.listen = (Ipv4Addr::LOCALHOST, 0).into();
        let http = gateway(listen)?;
        let jobs = dispatcher::Config::embedded(of_services(), &folder, &converter)?;
        let admin_listen = jobs.admin_listen;
        // Whatever can fail comes before auth: it makes an account, whose password is told once.
        let storage = Storage::open(&url).await.map_err(fault("storage"))?;
        let queue = Queue::open(&url).await.map_err(fault("queue"))?;
        drop(TcpListener::bind(listen).map_err(|cause| taken(listen, &cause))?);
        let auth = auth::Server::open(accounts).await.map_err(fault("auth"))?;
        let auth_url = format!("http://{}", auth.address()).parse().map_err(fault("auth"))?;
        let http = HttpConfig { auth_url, ..http };
        let gateway = gateway::Server::with(http, storage.clone(), queue.clone()).await;
        let dispatcher = Dispatcher::open(jobs, storage, queue, &stop).await;
        let gateway = gateway.map_err(fault("gateway"))?;
        let dispatcher = dispatcher.map_err(fault("dispatcher"))?;
        let admin = Admin::open("serve", admin_listen, stop.clone()).await;
        let admin = admin.map_err(fault("the admin port"))?;
        for probe in [auth.probe(), gateway.probe(), dispatcher.probe()] {
            admin.ask(probe);
        }
        Ok(Self { auth, gateway, dispatcher, data, stop })
    }

    /// Where the gateway listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// The account that this start made.
    pub(crate) fn first_account(&self) -> Option<&FirstAccount> {
        self.auth.first_account()
    }

    /// Runs until it is stopped. The end of one part ends the others.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let stop = self.stop;
        let mut parts: JoinSet<Result<(), Error>> = JoinSet::new();
        let token = stop.clone();
        parts.spawn(async move { self.auth.run(token).await.map_err(fault("auth")) });
        let token = stop.clone();
        parts.spawn(async move {
            self.gateway.run(token).await;
            Ok(())
        });
        let token = stop.clone();
        parts.spawn(async move {
            self.dispatcher.run(token).await;
            Ok(())
        });
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            let ended = ended.unwrap_or_else(|panic| Err(fault("a service")(panic)));
            if result.is_ok() {
                result = match (ended, stop.is_cancelled()) {
                    (Ok(()), false) => {
                        Err(Error::failed("a service ended by itself; its log says more"))
                    }
                    (ended, _) => ended,
                };
            }
            stop.cancel();
        }
        // Only now may another process take the folder.
        drop(self.data);
        result
    }
}

/// What the settings say of the gateway; where auth answers is not known yet.
pub(crate) fn gateway(listen: SocketAddr) -> Result<HttpConfig, Error> {
    let mut settings = of_services();
    let nowhere = "http://127.0.0.1:0".parse().map_err(fault("gateway"))?;
    let http = HttpConfig::read(&mut settings, nowhere);
    Ok(settings.finish(Some(HttpConfig { listen, ..http }))?)
}

fn fault<E: Display>(part: &'static str) -> impl Fn(E) -> Error {
    move |cause| Error::failed(format!("{part} cannot run: {cause}"))
}

fn taken(listen: SocketAddr, cause: &io::Error) -> Error {
    Error::failed(format!(
        "cannot listen on {listen}: {cause}. --listen IP:PORT takes another address"
    ))
}
