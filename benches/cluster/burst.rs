//! Sixty conversions at once, twenty Jobs at a time, about 5 s of work each: what makes them take it is
//! a tenth of a core for each, so that twenty fill the two cores and no more. The bare client POSTs the
//! next Job as soon as one is complete.

use super::{
    bare::{self, Watch},
    place::Place,
    stored,
};
use crate::{Result, report::Row};
use anyhow::ensure;
use domain::Video;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::{collections::HashSet, time::Instant};

const JOBS: usize = 60;
const AT_ONCE: usize = 20;
const PAIRS: usize = 2;
/// Thousandths of a core for each Job, on both sides.
const CPU_MILLIS: &str = "100";
/// Of the clip: as much as takes about 5 s with that.
const SECONDS: u32 = 30;

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = stored::clip(place.folder.path(), SECONDS)?;
    let video = stored::video(&place.storage, &clip).await?;
    let bare_video = stored::video(&place.bare_storage, &clip).await?;
    place.dispatcher(AT_ONCE, &[("CONVERTER_CPU_MILLIS", CPU_MILLIS)])?;
    let (mut pairs, mut idle_jobs) = (Vec::new(), 0);
    for _ in 0..PAIRS {
        let mut watch = place.bare.watch().await?;
        let (took, names, job) = ours(place, &mut watch, &video).await?;
        idle_jobs += names.len() - JOBS;
        place.bare.clear().await?;
        let bare_took = peer(place, &bare_video, &job).await?;
        place.bare.clear().await?;
        pairs.push((took, bare_took));
    }
    Ok(vec![
        Row::of_pairs("burst of 60, 20 at once: until all are done", &pairs, 1.1, "s"),
        Row::of_limit("burst of 60: Jobs without work", idle_jobs as f64, 0.0, "Jobs"),
    ])
}

/// Seconds, the Jobs that there were, and one of them.
async fn ours(
    place: &Place,
    watch: &mut Watch,
    video: &Video,
) -> Result<(f64, HashSet<String>, Value)> {
    let records = stored::queued(&place.storage, video, JOBS).await?;
    let start = Instant::now();
    let publish = async |record| stored::publish(place, record).await;
    stream::iter(&records).map(publish).buffered(16).try_collect::<()>().await?;
    let all = stored::all_succeeded(&place.storage, &records);
    let jobs = async {
        let (mut names, mut complete, mut job) = (HashSet::new(), HashSet::new(), Value::Null);
        while complete.len() < JOBS {
            let seen = watch.next().await?;
            if seen.is_complete() {
                complete.insert(seen.name().to_owned());
            }
            if names.insert(seen.name().to_owned()) {
                job = seen.job;
            }
        }
        Ok((names, job))
    };
    let (end, (names, job)) = tokio::try_join!(all, jobs)?;
    ensure!(names.len() >= JOBS, "{} Jobs for {JOBS} conversions", names.len());
    Ok(((end - start).as_secs_f64(), names, job))
}

async fn peer(place: &Place, video: &Video, job: &Value) -> Result<f64> {
    let records = stored::running(&place.bare_storage, video, JOBS).await?;
    let url = place.bare_storage_url()?;
    let jobs = records.iter().map(|record| {
        let (id, name) = (record.id.to_string(), format!("bare-{}", record.id));
        bare::like(job, &name, &[("CONVERSION_ID", &id), ("STORAGE_URL", &url)])
    });
    let mut jobs: Vec<_> = jobs.collect();
    let mut watch = place.bare.watch().await?;
    let start = Instant::now();
    let first = jobs.split_off(jobs.len() - AT_ONCE);
    let create = async |job| place.bare.create(&job).await;
    stream::iter(first).map(create).buffered(16).try_collect::<()>().await?;
    let refill = async {
        let mut complete = HashSet::new();
        while complete.len() < JOBS {
            let seen = watch.until(|seen| seen.is_complete()).await?;
            if complete.insert(seen.name().to_owned())
                && let Some(next) = jobs.pop()
            {
                place.bare.create(&next).await?;
            }
        }
        Ok(())
    };
    let (end, ()) = tokio::try_join!(stored::all_succeeded(&place.bare_storage, &records), refill)?;
    Ok((end - start).as_secs_f64())
}
