//! The proxies of one stack, one before each part, so that a test can do harm to what any two parts
//! say to one another, and to no other stack.

use super::{service::auth_url, site::Site};
use crate::{Result, process::output_of, proxy::Proxy};
use anyhow::Context;
use reqwest::Url;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use std::{
    fs::File,
    net::TcpListener,
    os::fd::AsFd,
    path::{Path, PathBuf},
    thread,
};

/// Who is spoken to through which proxy.
pub(crate) struct Links {
    /// The gateway, by clients.
    pub(crate) gateway: Proxy,
    /// auth, by the gateway.
    pub(crate) auth: Proxy,
    /// RabbitMQ, by gateway and dispatcher.
    pub(crate) broker: Proxy,
    /// MongoDB, by gateway and dispatcher.
    pub(crate) storage: Proxy,
    /// MongoDB, by the pods. None where the node's network may not be entered: then they go straight.
    pub(crate) pods: Option<Proxy>,
    /// MariaDB, by auth.
    pub(crate) accounts: Proxy,
    /// The API server, by the dispatcher.
    pub(crate) kubernetes: Proxy,
    kubeconfig: PathBuf,
}

impl Links {
    pub(super) fn start(site: &Site, auth_port: u16, port: u16, folder: &Path) -> Result<Self> {
        let url = |text: &str| text.parse::<Url>();
        let (mut config, server) = kubeconfig(site)?;
        let kubernetes = Proxy::to(&place(&server, 443)?)?;
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = json!(format!("https://{}", kubernetes.address()));
        cluster["tls-server-name"] = json!(server.host_str());
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string())?;
        let mongodb = place(&url(&site.mongodb)?, 27017)?;
        Ok(Self {
            gateway: Proxy::to(&format!("127.0.0.1:{port}"))?,
            auth: Proxy::to(&place(&url(&auth_url(auth_port))?, 80)?)?,
            broker: Proxy::to(&place(&url(&site.amqp)?, 5672)?)?,
            storage: Proxy::to(&mongodb)?,
            pods: listener_of_pods(site).map(|it| Proxy::start(it, &mongodb)).transpose()?,
            accounts: Proxy::to(&place(&url(&site.mysql)?, 3306)?)?,
            kubernetes,
            kubeconfig,
        })
    }

    /// The site as the services of the stack see it.
    pub(super) fn before(&self, site: &Site) -> Result<Site> {
        Ok(Site {
            kubeconfig: self.kubeconfig.display().to_string(),
            mongodb: through(&site.mongodb, &self.storage)?,
            amqp: through(&site.amqp, &self.broker)?,
            mysql: through(&site.mysql, &self.accounts)?,
            ..site.clone()
        })
    }

    /// MongoDB's address as the pods see it.
    pub(super) fn for_pods(&self, site: &Site) -> Result<String> {
        let pods = self.pods.as_ref();
        pods.map_or_else(|| Ok(site.mongodb.clone()), |pods| through(&site.mongodb, pods))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, &Proxy)> {
        let always = [
            ("gateway", &self.gateway),
            ("auth", &self.auth),
            ("broker", &self.broker),
            ("storage", &self.storage),
            ("accounts", &self.accounts),
            ("kubernetes", &self.kubernetes),
        ];
        always.into_iter().chain(self.pods.iter().map(|pods| ("pods", pods))).collect()
    }
}

/// The kubeconfig as JSON, and where its API server is.
pub(super) fn kubeconfig(site: &Site) -> Result<(Value, Url)> {
    let mut view = site.kubectl();
    view.args(["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let config: Value = serde_json::from_str(&output_of(&mut view, None)?)?;
    let server =
        config["clusters"][0]["cluster"]["server"].as_str().context("a server")?.parse()?;
    Ok((config, server))
}

fn place(url: &Url, usual_port: u16) -> Result<String> {
    let host = url.host_str().context("a host")?;
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(usual_port)))
}

/// The same address with the proxy in the part's place.
fn through(address: &str, proxy: &Proxy) -> Result<String> {
    let mut url: Url = address.parse()?;
    let place = proxy.address();
    url.set_ip_host(place.ip()).ok().context("an address with a host")?;
    url.set_port(Some(place.port())).ok().context("an address with a port")?;
    Ok(url.to_string().trim_end_matches('/').to_owned())
}

/// A socket in the node's network, which the pods reach and nobody else does. A socket stays in the
/// network where it was made; only the thread that makes it must go there.
pub(crate) fn listener_of_pods(site: &Site) -> Option<TcpListener> {
    let (network, address) = site.network.clone()?;
    let made = thread::spawn(move || -> Result<TcpListener> {
        let network = File::open(format!("/run/netns/{network}"))?;
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(TcpListener::bind((address, 0))?)
    });
    match made.join() {
        Ok(Ok(listener)) => Some(listener),
        Ok(Err(error)) => {
            eprintln!("pods speak to MongoDB without a proxy: {error:#}");
            None
        }
        Err(_) => None,
    }
}
