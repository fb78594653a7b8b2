//! Waiting for a condition, with a limit and a word about what was waited for. A fault that lasts for
//! a time, or comes at a random moment, is the one thing that waits for no condition.

use crate::Result;
use std::time::{Duration, Instant};

/// Asks until the answer is `Some`, or fails after `limit`.
pub(crate) async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let (start, mut tick) = (Instant::now(), tokio::time::interval(Duration::from_millis(100)));
    let mut last = None;
    while start.elapsed() < limit {
        tick.tick().await;
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => last = None,
            Err(error) => last = Some(error),
        }
    }
    let last = last.map_or_else(String::new, |error| format!(": {error:#}"));
    anyhow::bail!("waited {} s for {what}{last}", limit.as_secs())
}

/// Asks until it is true, or fails after `limit`.
pub(crate) async fn until_true(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<bool>,
) -> Result {
    until(what, limit, async || Ok(ask().await?.then_some(()))).await
}

/// The length of a fault, or the time until the next one.
pub(crate) async fn pause(length: Duration) {
    tokio::time::interval_at(tokio::time::Instant::now() + length, Duration::MAX).tick().await;
}
