//! Trying again: what may pass is repeated with growing pauses, anything else is told at once.

use super::Error;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

/// Each further pause is twice as long. Tests do not wait.
const FIRST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });
const LONGEST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 10_000 });

/// How long to hope.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// About four seconds: nothing has been done yet, the address may be wrong.
    Short,
    /// More than a minute: a server may restart in the middle of our work.
    Long,
}

impl Patience {
    const fn tries(self) -> usize {
        match self {
            Self::Short => 3,
            Self::Long => 11,
        }
    }

    /// What a server may ask for before the user would rather know.
    const fn longest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Short => 5,
            Self::Long => 120,
        })
    }
}

/// Does `attempt` until it works or fails for good; `told` hears of every failure that is repeated.
pub(crate) async fn patiently<T>(
    patience: Patience,
    told: impl Fn(&Error, Duration),
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(patience.tries())
        .with_jitter();
    for pause in pauses.build() {
        match attempt().await {
            Err(error) if error.may_pass() && error.pause() <= patience.longest() => {
                let pause = pause.max(error.pause());
                told(&error, pause);
                tokio::time::sleep(pause).await;
            }
            ended => return ended,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn away() -> Error {
        Error::Damaged("cut".to_owned())
    }

    #[tokio::test]
    async fn passing_trouble_is_outlived() {
        let calls = Cell::new(0);
        let result = patiently(
            Patience::Long,
            |_, _| {},
            async || {
                calls.set(calls.get() + 1);
                if calls.get() < 5 { Err(away()) } else { Ok(calls.get()) }
            },
        );
        assert_eq!(result.await.unwrap(), 5);
    }

    #[tokio::test]
    async fn patience_ends_and_a_clear_no_ends_it_at_once() {
        let calls = Cell::new(0);
        let count = || calls.set(calls.get() + 1);
        let ended = patiently(
            Patience::Short,
            |_, _| {},
            async || {
                count();
                Err::<(), _>(away())
            },
        );
        ended.await.unwrap_err();
        assert_eq!(calls.replace(0), 4);
        let refused = patiently(
            Patience::Long,
            |_, _| {},
            async || {
                count();
                Err::<(), _>(Error::NotSignedIn(String::new()))
            },
        );
        refused.await.unwrap_err();
        assert_eq!(calls.get(), 1);
    }
}
