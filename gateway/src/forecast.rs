//! When the turn of a waiting conversion comes. What waits and runs is summed up once for all who ask
//! within a moment, and only then.

use crate::context::Context;
use domain::{Conversion, Crowd, State};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use utoipa::ToSchema;

/// For how long what was summed up is good enough.
const FRESH: Duration = Duration::from_secs(2);

/// What waits and runs, as it was summed up last.
#[derive(Default)]
pub(crate) struct Known(Mutex<Option<(Instant, Arc<Crowd>)>>);

/// Where a waiting conversion stands. It changes with every answer, and is no news to wait for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Turn)]
pub(crate) struct TurnView {
    /// 1 for the one that gets the next free slot.
    #[schema(minimum = 1)]
    position: u64,
    /// When it will be done, if conversions go on as of late; null before any is known, and while
    /// dispatching is paused.
    finish_expected_at: Option<Timestamp>,
}

/// The turn of a conversion; none for one that does not wait, or while it cannot be told.
pub(crate) async fn turn(context: &Arc<Context>, record: &Conversion) -> Option<TurnView> {
    if record.state != State::Queued {
        return None;
    }
    let (context, record) = (context.clone(), record.clone());
    // Goes on for others who wait for it too, even if this one hangs up.
    let told = tokio::spawn(async move { tell(&context, &record).await }).await.ok()?;
    told.inspect_err(|error| tracing::warn!(%error, "no forecast could be made")).ok()
}

async fn tell(context: &Context, record: &Conversion) -> Result<TurnView, storage::Error> {
    let (crowd, ahead) = tokio::try_join!(crowd(context), context.storage.ahead_of(record))?;
    let place = crowd.place(record, ahead);
    let paused = context.storage.dispatching().await?.paused;
    let seconds = place.seconds.filter(|_| !paused);
    let wait = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    let at = wait.and_then(|wait| Timestamp::now().max(record.not_before).checked_add(wait).ok());
    Ok(TurnView { position: place.position, finish_expected_at: at })
}

async fn crowd(context: &Context) -> Result<Arc<Crowd>, storage::Error> {
    // Whoever comes while it is summed up waits for that and takes it too.
    let mut known = context.forecast.0.lock().await;
    if let Some((at, crowd)) = known.as_ref()
        && at.elapsed() < FRESH
    {
        return Ok(crowd.clone());
    }
    let crowd = Arc::new(context.storage.crowd(Timestamp::now()).await?);
    *known = Some((Instant::now(), crowd.clone()));
    Ok(crowd)
}
