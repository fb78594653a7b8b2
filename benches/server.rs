//! A server of ours to be measured: `audio-converter serve` with data in a temporary folder.

use crate::{Result, program};
use anyhow::Context;
use reqwest::Client;
use serde_json::Value;
use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A running server; ends with the measurement.
pub(crate) struct Server {
    child: Child,
    data: TempDir,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    pub(crate) password: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut child = Command::new(program("audio-converter"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .env("LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) =
            (child.stdout.take().context("a pipe")?, child.stderr.take().context("a pipe")?);
        let (send, said) = std::sync::mpsc::channel();
        for pipe in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let send = send.clone();
            std::thread::spawn(move || {
                BufReader::new(pipe)
                    .lines()
                    .map_while(|line| line.ok())
                    .for_each(|line| drop(send.send(line)));
            });
        }
        drop(send);
        let (mut address, mut password) = (None, None);
        for line in said {
            address = address.or_else(|| word_after(&line, "http://"));
            password = password.or_else(|| word_after(&line, "has the password "));
            if address.is_some() && password.is_some() {
                break;
            }
        }
        let (address, password) =
            address.zip(password).context("serve did not say where it listens")?;
        Ok(Self { child, data, address, password })
    }

    /// The address of something on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Signs in as the first account and returns the token.
    pub(crate) fn sign_in(&self) -> Result<String> {
        wait_for(async {
            let asked = Client::new().post(self.url("/login"));
            let answer = asked.basic_auth("admin", Some(&self.password)).send().await?;
            Ok(answer.error_for_status()?.text().await?)
        })
    }

    /// Deletes every video there is.
    pub(crate) fn delete_videos(&self, token: &str) -> Result {
        let client = Client::new();
        wait_for(async {
            loop {
                let page = client.get(self.url("/v1/videos?limit=100")).bearer_auth(token);
                let page: Value =
                    serde_json::from_slice(&page.send().await?.error_for_status()?.bytes().await?)?;
                let videos = page["items"].as_array().context("items")?;
                if videos.is_empty() {
                    return Ok(());
                }
                for video in videos {
                    let path = format!("/v1/videos/{}", video["id"].as_str().unwrap_or_default());
                    let asked = client.delete(self.url(&path)).bearer_auth(token);
                    asked.send().await?.error_for_status()?;
                }
            }
        })
    }

    /// CPU seconds that the server itself has used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id())
    }

    /// How often its threads have gone to sleep and been woken.
    pub(crate) fn wake_ups(&self) -> Result<WakeUps> {
        WakeUps::of(self.child.id())
    }

    /// The folder with its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// Resident memory of the server itself in MB.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// Forgets the peak so far, as that of a login, which holds 47 MiB for a moment.
    pub(crate) fn forget_peak(&self) -> Result {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// The most that was resident since then, in MB.
    pub(crate) fn peak_mb(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> Result<f64> {
        status_mb(self.child.id(), field)
    }
}

/// CPU seconds that a process has used.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    of_stat(&process.to_string(), 11)
}

/// CPU seconds of this process's children that have ended, and of theirs.
pub(crate) fn cpu_seconds_of_ended_children() -> Result<f64> {
    of_stat("self", 13)
}

/// The sum of two clocks of `/proc/ID/stat`, which stand so many fields after the name.
fn of_stat(process: &str, fields: usize) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("a name")?;
    let ticks = after.split_whitespace().skip(fields).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<std::result::Result<u64, _>>()? as f64 / 100.0)
}

/// A field of `/proc/ID/status` in MB.
pub(crate) fn status_mb(process: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// How often each thread of a process has been woken so far.
pub(crate) struct WakeUps(HashMap<OsString, u64>);

impl WakeUps {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let thread = thread?;
            // One that ends meanwhile is not looked at.
            let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            threads.insert(thread.file_name(), line.context("a count")?.trim().parse()?);
        }
        Ok(Self(threads))
    }

    /// How many have come since `earlier`. A thread that has ended takes its count along, so what it
    /// did in between is left out.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        let before = |thread| earlier.0.get(thread).copied().unwrap_or_default();
        let each = self.0.iter().map(|(thread, count)| count.saturating_sub(before(thread)));
        each.sum::<u64>() as f64
    }
}

/// What comes of some requests.
pub(crate) fn wait_for<T>(requests: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(requests)
}

fn word_after(line: &str, before: &str) -> Option<String> {
    let (_, after) = line.split_once(before)?;
    Some(after.split_whitespace().next()?.to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
