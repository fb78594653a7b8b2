//! One conversion while nothing else happens: from its message to its Job, and to its program's claim,
//! against a bare POST of the same Job.

use super::{
    bare::{self, Watch},
    place::Place,
    stored,
};
use crate::{
    Result,
    report::{Row, median},
};
use domain::{State, Video};
use serde_json::Value;
use std::time::Instant;

const ROUNDS: usize = 20;

/// Seconds from the start to the Job and to the program.
struct Took {
    created: f64,
    started: f64,
}

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = stored::clip(place.folder.path(), 1)?;
    let video = stored::video(&place.storage, &clip).await?;
    let bare_video = stored::video(&place.bare_storage, &clip).await?;
    let mut watch = place.bare.watch().await?;
    place.dispatcher(10, &[])?;
    // Brings the spec, and warms both sides.
    let (_, job) = ours(place, &mut watch, &video).await?;
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        all.push(ours(place, &mut watch, &video).await?.0);
        bare.push(peer(place, &mut watch, &bare_video, &job).await?);
    }
    let created = |side: &[Took]| side.iter().map(|it| it.created * 1000.0).collect::<Vec<_>>();
    let (fast, bare_fast) = (created(&all), created(&bare));
    let started: Vec<_> = all.iter().zip(&bare).map(|(a, b)| (a.started, b.started)).collect();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (p99, bare_p99) = (most(&fast), most(&bare_fast));
    eprintln!("slowest of {ROUNDS}: {p99:.0} ms, a bare POST {bare_p99:.0} ms");
    let (middle, bare_middle) = (median(fast), median(bare_fast));
    eprintln!("median: {middle:.1} ms, a bare POST {bare_middle:.1} ms");
    Ok(vec![
        Row::of_limit(
            "message to Job beyond a bare POST: median",
            middle - bare_middle,
            10.0,
            "ms",
        ),
        Row::of_limit("message to Job beyond a bare POST: slowest", p99 - bare_p99, 100.0, "ms"),
        Row::of_pairs("message to program's start", &started, 1.1, "s"),
    ])
}

async fn ours(place: &Place, watch: &mut Watch, video: &Video) -> Result<(Took, Value)> {
    let record = &stored::queued(&place.storage, video, 1).await?[0];
    let name = format!("convert-{}-1", record.id);
    let start = Instant::now();
    stored::publish(place, record).await?;
    let seen = watch.created(Some(&name)).await?;
    let started = stored::until(&place.storage, record.id, |record| record.claim > 0).await?;
    let took =
        Took { created: (seen.at - start).as_secs_f64(), started: (started - start).as_secs_f64() };
    watch.until(|seen| seen.name() == name && seen.is_complete()).await?;
    // The event goes out too before the next round.
    stored::until(&place.storage, record.id, |record| record.published).await?;
    Ok((took, seen.job))
}

async fn peer(place: &Place, watch: &mut Watch, video: &Video, job: &Value) -> Result<Took> {
    let record = &stored::running(&place.bare_storage, video, 1).await?[0];
    let name = format!("bare-{}", record.id);
    let (id, url) = (record.id.to_string(), place.bare_storage_url()?);
    let job = bare::like(job, &name, &[("CONVERSION_ID", &id), ("STORAGE_URL", &url)]);
    let start = Instant::now();
    place.bare.create(&job).await?;
    let seen = watch.created(Some(&name)).await?;
    let started = stored::until(&place.bare_storage, record.id, |record| record.claim > 0).await?;
    let took =
        Took { created: (seen.at - start).as_secs_f64(), started: (started - start).as_secs_f64() };
    watch.until(|seen| seen.name() == name && seen.is_complete()).await?;
    stored::until(&place.bare_storage, record.id, |it| it.state == State::Succeeded).await?;
    Ok(took)
}
