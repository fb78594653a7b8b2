//! One machine: `audio-converter serve` with its data in a folder of the test's own.

use super::{Settings, distinct, free_port, take_events};
use crate::{
    Result,
    process::{Process, with_environment},
    wait,
};
use queue::{Mp3Message, Queue};
use std::{
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};
use tempfile::TempDir;

/// The running server.
pub(crate) struct Embedded {
    pub(super) url: String,
    pub(super) folder: TempDir,
    /// The program to start, from the next start on: a name of this workspace, or a path.
    pub(crate) program: String,
    /// What else is in its environment, from the next start on.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where it keeps everything, from the next start on.
    pub(crate) data: PathBuf,
    listen: String,
    server: Process,
}

impl Embedded {
    pub(super) async fn start(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let program = "audio-converter".to_owned();
        let jobs = available_parallelism()?.get().min(settings.max_jobs);
        let environment = vec![
            ("LOG", "info,dispatcher=debug".to_owned()),
            ("DISPATCHER_MAX_JOBS", jobs.to_string()),
            // The test's disk may be small; what is full is to be met, not kept away.
            ("GATEWAY_MIN_FREE_BYTES", "0".to_owned()),
        ];
        let data = folder.path().join("data");
        let server = serve(&program, &environment, &listen, &data, &folder)?;
        let url = format!("http://{listen}");
        let mut stack = Self { url, folder, program, environment, data, listen, server };
        stack.answers().await?;
        Ok(stack)
    }

    async fn answers(&mut self) -> Result {
        let url = format!("{}/healthz", self.url);
        wait::until_true("the server to answer", Duration::from_secs(60), async || {
            self.server.must_run()?;
            Ok(reqwest::get(&url).await?.status().is_success())
        })
        .await
    }

    fn data(&self) -> String {
        self.data.display().to_string()
    }

    pub(crate) fn accounts_url(&self) -> String {
        format!("file:{}/accounts.sqlite", self.data())
    }

    pub(crate) fn storage_url(&self) -> String {
        format!("file:{}", self.data())
    }

    pub(super) fn queue_url(&self) -> String {
        self.storage_url()
    }

    pub(super) async fn kill_dispatcher(&mut self) -> Result {
        self.stop().await?;
        self.restart().await
    }

    /// kill -9, and waits until its children have seen that it is gone.
    pub(crate) async fn stop(&mut self) -> Result {
        self.server.kill();
        let entry = format!("STORAGE_URL={}", self.storage_url());
        wait::until_true("the children to end", Duration::from_secs(10), async || {
            Ok(with_environment(&entry, "attempt").is_empty())
        })
        .await
    }

    /// Starts it anew on the same data.
    pub(crate) async fn restart(&mut self) -> Result {
        self.server =
            serve(&self.program, &self.environment, &self.listen, &self.data, &self.folder)?;
        self.answers().await
    }

    pub(super) async fn stored_mp3s(&self) -> Result<usize> {
        let files = std::fs::read_dir(self.data.join("mp3s"))?.flatten();
        // Without the texts beside them.
        Ok(files.filter(|file| file.path().extension().is_none_or(|end| end != "json")).count())
    }

    /// Only one process may have the messages open, so the server is stopped; what it had not
    /// published yet it publishes when it starts again.
    pub(super) async fn events(&mut self, count: usize) -> Result<Vec<Mp3Message>> {
        let (queue_url, mut events) = (self.queue_url(), Vec::new());
        wait::until_true("the events", Duration::from_secs(90), async || {
            self.stop().await?;
            let queue = Queue::open(&queue_url).await?;
            events.extend(take_events(&queue, Duration::from_secs(1)).await?);
            drop(queue);
            if distinct(&events) >= count {
                return Ok(true);
            }
            self.restart().await?;
            Ok(false)
        })
        .await?;
        Ok(events)
    }

    pub(super) fn tell(&self) {
        self.server.tell();
    }

    pub(super) async fn end(mut self) {
        if let Err(error) = self.stop().await {
            eprintln!("{error:#}");
        }
    }
}

fn serve(
    program: &str,
    environment: &[(&str, String)],
    listen: &str,
    data: &Path,
    folder: &TempDir,
) -> Result<Process> {
    let data = data.display().to_string();
    let arguments = ["serve", "--listen", listen, "--data", &data];
    Process::start(program, &arguments, environment, folder.path())
}
