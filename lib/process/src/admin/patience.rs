//! Waiting for what a service cannot do without and what may come up after it, as on a cluster to which
//! everything is applied at once. It says so once in its log and the reason on `/readyz`; ending instead
//! would look like a fault, and be tried again ever more slowly.

use super::Admin;
use std::{fmt::Display, sync::PoisonError, time::Duration};
use tokio::time::sleep;

/// Between two tries: a database takes seconds to come up.
const PAUSE: Duration = Duration::from_secs(1);

impl Admin {
    /// Opens what the service needs, again and again while it fails for a reason that may pass. None
    /// where the process is told to stop before that.
    ///
    /// # Errors
    /// The first fault that waiting cannot mend.
    pub async fn patiently<T, E: Display>(
        &self,
        may_pass: impl Fn(&E) -> bool,
        open: impl AsyncFn() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let opening = async {
            let mut waited = false;
            loop {
                match open().await {
                    Err(fault) if may_pass(&fault) => self.tell(&fault, &mut waited),
                    opened => return opened.inspect(|_| went_on(waited)),
                }
                sleep(PAUSE).await;
            }
        };
        self.state.stopping.run_until_cancelled(opening).await.transpose()
    }

    fn tell(&self, fault: &impl Display, told: &mut bool) {
        if !*told {
            tracing::warn!(error = %fault, "waiting for what is needed to start");
        }
        *told = true;
        *self.state.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
            format!("waiting: {fault}");
    }
}

fn went_on(waited: bool) {
    if waited {
        tracing::info!("what was waited for is there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio_util::sync::CancellationToken;

    async fn admin(stopping: &CancellationToken) -> Admin {
        Admin::open("test", None, stopping.clone()).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_away_is_waited_for_and_told() {
        let (admin, tries) = (admin(&CancellationToken::new()).await, Cell::new(0));
        assert_eq!(admin.state.ready().await.unwrap_err(), "starting");
        let opened = admin.patiently(
            |_| true,
            async || {
                tries.set(tries.get() + 1);
                if tries.get() == 2 {
                    assert_eq!(admin.state.ready().await.unwrap_err(), "waiting: away, try 1");
                    return Ok("open");
                }
                Err(format!("away, try {}", tries.get()))
            },
        );
        assert_eq!(opened.await, Ok(Some("open")));
    }

    #[tokio::test]
    async fn what_time_cannot_mend_is_an_error_at_once() {
        let admin = admin(&CancellationToken::new()).await;
        let opened = admin.patiently(|fault| *fault != "no address", async || Err("no address"));
        assert_eq!(opened.await, Err::<Option<()>, _>("no address"));
    }

    #[tokio::test]
    async fn whoever_waits_can_be_stopped() {
        let stopping = CancellationToken::new();
        let admin = admin(&stopping).await;
        let opened = admin.patiently(
            |_| true,
            async || {
                stopping.cancel();
                Err("away")
            },
        );
        assert_eq!(opened.await, Ok(None::<()>));
    }
}
