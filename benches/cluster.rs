//! The cluster against a bare client: what the same Jobs take when nothing but HTTP requests makes
//! them, from the same spec, on the same input.
//!
//! Runs where KUBECONFIG, MONGODB_URL, AMQP_URL, MYSQL_URL and CONVERTER_IMAGE name a cluster;
//! `benches/run` brings one up. Every measurement has a namespace and databases of its own.

mod backlog;
mod bare;
mod burst;
mod dispatch;
mod first_byte;
mod gridfs;
mod kills;
mod mountain;
mod place;
mod stored;
mod through;

use crate::{Measurement, Result, report::Row};
use place::Place;

/// Each is `make bench ONLY=name`; `ONLY=cluster` is all of them.
pub(crate) const ALL: &[(&str, Measurement)] = &[
    ("cluster-dispatch", || within(async |place| dispatch::measure(place).await)),
    ("cluster-first-byte", || within(async |place| first_byte::measure(place).await)),
    ("cluster-burst", || within(async |place| burst::measure(place).await)),
    ("cluster-backlog", || within(async |place| backlog::measure(place).await)),
    ("cluster-mountain", || within(async |place| mountain::measure(place).await)),
    ("cluster-gridfs", || within(async |place| gridfs::measure(place).await)),
    ("cluster-through", || within(async |place| through::measure(place).await)),
    ("cluster-kills", || within(async |place| kills::measure(place).await)),
];

/// Why these cannot run here, if so.
pub(crate) fn absent() -> Option<String> {
    let needed = ["KUBECONFIG", "MONGODB_URL", "AMQP_URL", "MYSQL_URL", "CONVERTER_IMAGE"];
    let missing = needed.into_iter().find(|name| std::env::var(name).is_err());
    missing.map(|name| format!("{name} is not set"))
}

/// Measures in a place that is removed afterwards, whatever comes of it.
fn within(measure: impl AsyncFnOnce(&mut Place) -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut place = Place::make().await?;
        let rows = measure(&mut place).await;
        if rows.is_err() {
            place.tell();
        }
        place.end().await?;
        rows
    })
}
