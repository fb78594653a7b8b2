//! A watch on the Jobs of one namespace, by kubectl and on a thread of its own.

use crate::{Result, process::bound_to_this_thread};
use anyhow::Context;
use serde_json::Value;
use std::{
    io::BufReader,
    path::Path,
    process::{Child, Stdio},
    thread::JoinHandle,
};

/// A watch; ends when dropped.
pub(crate) struct Watch {
    kubectl: Child,
    seen: Option<JoinHandle<()>>,
}

impl Watch {
    /// Hands every change of every Job in this namespace to `see`.
    pub(super) fn jobs(
        kubeconfig: &str,
        namespace: &str,
        mut see: impl FnMut(&str, &Value) + Send + 'static,
    ) -> Result<Self> {
        let mut command = bound_to_this_thread(Path::new("kubectl"));
        command.env("KUBECONFIG", kubeconfig).args(["-n", namespace, "get", "jobs"]);
        command.args(["-o", "json", "--watch", "--output-watch-events"]);
        let mut kubectl = command.stdout(Stdio::piped()).spawn()?;
        let events = BufReader::new(kubectl.stdout.take().context("a pipe")?);
        let seen = std::thread::spawn(move || {
            for event in serde_json::Deserializer::from_reader(events)
                .into_iter::<Value>()
                .map_while(|event| event.ok())
            {
                see(event["type"].as_str().unwrap_or_default(), &event["object"]);
            }
        });
        Ok(Self { kubectl, seen: Some(seen) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
        if let Some(seen) = self.seen.take() {
            let _ = seen.join();
        }
    }
}
