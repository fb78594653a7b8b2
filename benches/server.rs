//! A server of ours to be measured: `audio-converter serve` with data in a temporary folder.

use crate::{Result, program};
use anyhow::Context;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A running server; ends with the measurement.
pub(crate) struct Server {
    child: Child,
    _data: TempDir,
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
        Ok(Self { child, _data: data, address, password })
    }

    /// Signs in as the first account and returns the token.
    pub(crate) fn sign_in(&self) -> Result<String> {
        let request = async {
            let answer = reqwest::Client::new()
                .post(format!("http://{}/login", self.address))
                .basic_auth("admin", Some(&self.password))
                .send()
                .await?;
            Ok(answer.error_for_status()?.text().await?)
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(request)
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
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
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
