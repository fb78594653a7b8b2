//! The services of one cluster stack, each a process with what it is told, so that one that was
//! killed comes back as it was.

use super::{Settings, links::Links, rights, site::Site};
use crate::{Result, process::Process};
use std::path::Path;

/// What a service is told.
type Told = Vec<(&'static str, String)>;

/// A service that was started.
pub(crate) struct Service {
    name: &'static str,
    /// What it is told, from its next start on.
    pub(crate) settings: Told,
    process: Process,
}

impl Service {
    pub(super) fn start(name: &'static str, settings: Told, folder: &Path) -> Result<Self> {
        let process = Process::start(name, &[], &settings, folder)?;
        Ok(Self { name, settings, process })
    }

    /// Starts it anew unless it runs, as Kubernetes does with one that cannot begin because what it
    /// needs is away.
    pub(crate) fn revive(&mut self, folder: &Path) -> Result {
        if self.process.must_run().is_err() {
            self.process = Process::start(self.name, &[], &self.settings, folder)?;
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// See [`Process`].
    pub(crate) fn terminate(&self) -> Result {
        self.process.terminate()
    }

    /// See [`Process`].
    pub(crate) fn signal(&self, signal: &str) -> Result {
        self.process.signal(signal)
    }

    /// See [`Process`].
    pub(crate) fn exit_code(&mut self) -> Result<Option<i32>> {
        self.process.exit_code()
    }

    /// See [`Process`].
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    pub(super) fn must_run(&mut self) -> Result {
        self.process.must_run()
    }

    pub(super) fn tell(&self) {
        self.process.tell();
    }
}

/// auth's address.
pub(super) fn auth_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// What auth is told, which finds everything where `seen` says, as do the others.
pub(super) fn auth(seen: &Site, name: &str, port: u16) -> Told {
    vec![
        ("AUTH_LISTEN", format!("127.0.0.1:{port}")),
        ("AUTH_DATABASE_URL", seen.accounts_url(name)),
    ]
}

/// What the gateway is told.
pub(super) fn gateway(
    seen: &Site,
    links: Option<&Links>,
    name: &str,
    settings: &Settings,
    [auth_port, port]: [u16; 2],
) -> Told {
    let auth = links.map(|links| format!("http://{}", links.auth.address()));
    vec![
        ("GATEWAY_LISTEN", format!("127.0.0.1:{port}")),
        ("GATEWAY_AUTH_URL", auth.unwrap_or_else(|| auth_url(auth_port))),
        ("GATEWAY_MAX_UPLOAD_BYTES", settings.max_upload_bytes.to_string()),
        ("STORAGE_URL", seen.storage_url(name)),
        ("QUEUE_URL", seen.queue_url(name)),
    ]
}

/// What the dispatcher is told.
pub(super) fn dispatcher(seen: &Site, name: &str, settings: &Settings, kubeconfig: &Path) -> Told {
    vec![
        ("DISPATCHER_LEASE_NAMESPACE", rights::services(name)),
        ("DISPATCHER_NAME", "first".to_owned()),
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("STORAGE_URL", seen.storage_url(name)),
        ("QUEUE_URL", seen.queue_url(name)),
        ("DISPATCHER_NAMESPACE", name.to_owned()),
        ("DISPATCHER_MAX_JOBS", settings.max_jobs.to_string()),
        ("DISPATCHER_JOB_TTL_SECONDS", settings.job_ttl_seconds.to_string()),
        ("DISPATCHER_PENDING_LIMIT_SECONDS", settings.pending_limit_seconds.to_string()),
        ("CONVERTER_IMAGE", settings.image(seen)),
        ("CONVERTER_STORAGE_SECRET", rights::SECRET.to_owned()),
        ("CONVERTER_MEMORY_MIB", settings.memory_mib.to_string()),
        ("LOG", "info,dispatcher=debug".to_owned()),
    ]
}
