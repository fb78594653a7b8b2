//! Jobs created per second while a backlog waits, against the bare client at its best. The Jobs ask for
//! more memory than any node has: their pods wait, and take nothing from either side.

use super::{bare, place::Place, stored};
use crate::{Result, report::Row};
use domain::{Change, Conversion, Video};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use storage::ChangeError;

const JOBS: usize = 500;
const PAIRS: usize = 5;
/// Requests on their way at once that the bare client is tried with.
const WIDTHS: [usize; 3] = [4, 16, 32];
/// Of a Job, in MiB.
pub(super) const MEMORY: (&str, &str) = ("CONVERTER_MEMORY_MIB", "4000000");

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = stored::clip(place.folder.path(), 1)?;
    let video = stored::video(&place.storage, &clip).await?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let (rate, job) = ours(place, &video).await?;
        let mut best: f64 = 0.0;
        for width in WIDTHS {
            best = best.max(peer(place, &job, width).await?);
        }
        // Seconds per Job: more is worse, as in every other row.
        pairs.push((1000.0 / rate, 1000.0 / best));
        eprintln!("{rate:.0} Jobs per second, the bare client {best:.0}");
    }
    Ok(vec![Row::of_pairs("backlog: time per Job (0.5 x the rate)", &pairs, 2.0, "ms")])
}

async fn ours(place: &mut Place, video: &Video) -> Result<(f64, Value)> {
    let records = stored::queued(&place.storage, video, JOBS).await?;
    let mut watch = place.bare.watch().await?;
    place.dispatcher(JOBS, &[MEMORY])?;
    let first = watch.created(None).await?;
    let mut last = first.at;
    for _ in 1..JOBS {
        last = watch.created(None).await?.at;
    }
    place.kill("dispatcher");
    cancel(place, &records).await?;
    place.bare.clear().await?;
    Ok(((JOBS - 1) as f64 / (last - first.at).as_secs_f64(), first.job))
}

/// Calls conversions off, so that no dispatcher takes them up again.
pub(super) async fn cancel(place: &Place, records: &[Conversion]) -> Result {
    let one =
        async |record: &Conversion| match place.storage.change(record.id, &Change::Cancel).await {
            Err(ChangeError::Storage(error)) => Err(error.into()),
            _ => Ok(()),
        };
    stream::iter(records).map(one).buffered(16).try_collect().await
}

async fn peer(place: &Place, job: &Value, width: usize) -> Result<f64> {
    let mut watch = place.bare.watch().await?;
    let jobs: Vec<_> = (0..JOBS).map(|n| bare::like(job, &format!("bare-{n}"), &[])).collect();
    let create = async |job: &Value| place.bare.create(job).await;
    let created = stream::iter(&jobs).map(create).buffer_unordered(width).try_collect::<()>();
    let ((), (first, last)) = tokio::try_join!(created, watch.all_created(JOBS))?;
    place.bare.clear().await?;
    Ok((JOBS - 1) as f64 / (last - first).as_secs_f64())
}
