//! What `serve` costs while nothing happens: before any work, and a minute after some. The same of
//! the three services on a cluster, where one is given.

mod cluster;

use crate::{Result, report::Row, server::Server, upload};
use std::{thread, time::Duration};

const LIMIT_MB: f64 = 45.0;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    thread::sleep(Duration::from_secs(5));
    let fresh = server.resident_mb()?;
    for _ in 0..20 {
        server.sign_in()?;
    }
    upload::one(&server)?;
    thread::sleep(Duration::from_secs(60));
    let worked = server.resident_mb()?;
    let before = server.wake_ups()?;
    thread::sleep(Duration::from_secs(10));
    let wake_ups = server.wake_ups()?.since(&before);
    drop(server);
    let mut rows = vec![
        Row::of_limit("idle serve, fresh", fresh, LIMIT_MB, "MB"),
        Row::of_limit("idle serve, 60 s after 20 logins and 1 GB", worked, LIMIT_MB, "MB"),
        Row::of_limit("idle serve: wake-ups in 10 s", wake_ups, 20.0, ""),
    ];
    rows.extend(cluster::measure()?);
    Ok(rows)
}
