//! The one write that decides: made, refused for good, or not known.

use domain::{Change, ConversionId};
use std::time::Duration;
use storage::{ChangeError, Storage};
use tokio::time::{sleep, timeout};

/// Waits between tries, in milliseconds; about ten seconds in all. A successor comes after that.
const WAITS_MS: [u64; 7] = [0, 100, 300, 1000, 2000, 3000, 4000];
/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What became of a commit.
#[derive(Debug)]
pub(super) enum Committed {
    /// The record says so.
    Yes,
    /// The record can never say so: it is final, or a newer claim or attempt holds it.
    Refused,
    /// Storage gave no clear answer; the write may have been made, or may still be.
    Unknown(String),
}

/// Makes the change, again and again while storage gives no clear answer. Each try reads the record
/// first, so one that was made before its answer was lost is found.
pub(super) async fn commit(storage: &Storage, id: ConversionId, change: &Change) -> Committed {
    let mut last = String::new();
    for wait in WAITS_MS {
        sleep(Duration::from_millis(wait)).await;
        match timeout(ANSWER, storage.change(id, change)).await {
            Ok(Ok(_)) => return Committed::Yes,
            Ok(Err(ChangeError::Refused(refused))) => {
                tracing::info!(%refused, "the commit was refused");
                return Committed::Refused;
            }
            Ok(Err(ChangeError::Storage(error))) => last = error.to_string(),
            Err(_) => "no answer".clone_into(&mut last),
        }
        tracing::warn!(error = last, "the commit was not answered clearly");
    }
    Committed::Unknown(last)
}
