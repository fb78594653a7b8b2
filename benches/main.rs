//! The measurements that the project's claims rest on: both sides in one run, on the same input.
//!
//! `make bench` runs all of them, `make bench ONLY=name` one. Each prints a table and writes
//! `target/bench/NAME.json`. Wall times vary a lot between runs, ratios within one run do not:
//! every wall ratio is the median over interleaved pairs. Those named `cluster-...` need a cluster.

mod cluster;
mod converter;
mod crowd;
mod idle;
mod latency;
mod list;
mod login;
mod report;
mod server;
mod small;
mod upload;

use report::Row;
use std::{path::PathBuf, process::ExitCode};

type Result<T = ()> = anyhow::Result<T>;
type Measurement = fn() -> Result<Vec<Row>>;

const ALL: &[(&str, Measurement)] = &[
    ("converter-ffmpeg", converter::against_ffmpeg),
    ("converter-moviepy", converter::against_moviepy),
    ("converter-copy", converter::copies),
    ("converter-node", converter::full_node),
    ("converter-memory", converter::memory),
    ("converter-start", converter::start),
    ("latency", latency::measure),
    ("upload", upload::measure),
    ("crowd", crowd::measure),
    ("small", small::measure),
    ("login", login::measure),
    ("list", list::measure),
    ("idle", idle::measure),
];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [floor, path] = &arguments[..]
        && floor == upload::FLOOR
    {
        upload::floor(path.as_ref())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut met = true;
    let wanted = |name: &str| {
        let group = name.split('-').next();
        arguments.is_empty()
            || arguments.iter().any(|only| only == name || Some(only.as_str()) == group)
    };
    let absent = cluster::absent();
    let of_cluster: Vec<_> = cluster::ALL.iter().filter(|(name, _)| wanted(name)).collect();
    if let (Some(why), false) = (&absent, of_cluster.is_empty()) {
        eprintln!("\nLEFT OUT: the measurements of the cluster: {why}");
        met &= arguments.is_empty();
    }
    let of_cluster = of_cluster.into_iter().filter(|_| absent.is_none());
    for (name, measure) in ALL.iter().filter(|(name, _)| wanted(name)).chain(of_cluster) {
        eprintln!("\n{name}");
        let rows = measure()?;
        report::write(name, &rows)?;
        met &= rows.iter().all(Row::is_met);
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A program of this workspace, built for release beside this one.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    this.ancestors().nth(2).map(|folder| folder.join(name)).unwrap_or_default()
}
