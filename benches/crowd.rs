//! Fifty uploads of 100 MB at once: what the server's memory grows by, and how the slowest fares.

use crate::{
    Result,
    report::{Row, median},
    server::Server,
    upload,
};
use anyhow::anyhow;
use std::thread;

const UPLOADS: u8 = 50;
const LENGTH: usize = 100_000_000;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    let token = server.sign_in()?;
    server.forget_peak()?;
    let before = server.resident_mb()?;
    let times = thread::scope(|scope| {
        let one = |n| {
            scope.spawn({
                let (server, token) = (&server, &token);
                move || upload::ours(server, token, LENGTH, n)
            })
        };
        let running: Vec<_> = (0..UPLOADS).map(one).collect();
        let ended = running.into_iter().map(|one| one.join().map_err(|_| anyhow!("a panic"))?);
        ended.collect::<Result<Vec<f64>>>()
    })?;
    let growth = server.peak_mb()? - before;
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Row::of_limit("50 uploads of 100 MB at once: growth", growth, 100.0, "MB"),
        Row::of_pairs("the slowest against the median", &[(slowest, median(times))], 1.5, "s"),
    ])
}
