//! kill -9 of converters at work, and how long it takes until the next attempt is seen to decode. Where
//! the nodes are other machines their processes cannot be killed from here, and this says so.

use super::{place::Place, stored};
use crate::{Result, report::Row};
use anyhow::{Context, ensure};
use domain::{Change, ConversionId, Video};
use std::{fs, process::Command, time::Instant};

const AT_ONCE: usize = 4;
const ROUNDS: usize = 5;
/// Of sound: more than the attempts get through.
const SECONDS: u32 = 3600;

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = stored::clip(place.folder.path(), SECONDS)?;
    let video = stored::video(&place.storage, &clip).await?;
    place.dispatcher(AT_ONCE, &[("CONVERTER_CPU_MILLIS", "300")])?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let some = (0..AT_ONCE).map(|_| kill_one(place, &video));
        times.extend(futures::future::try_join_all(some).await?);
    }
    times.sort_by(f64::total_cmp);
    eprintln!("seconds from kill -9 to the next attempt's progress: {times:.1?}");
    let slowest = times.last().copied().context("no kill")?;
    Ok(vec![Row::of_limit("kill -9 to decoding again: slowest of 20", slowest, 20.0, "s")])
}

async fn kill_one(place: &Place, video: &Video) -> Result<f64> {
    let record = &stored::queued(&place.storage, video, 1).await?[0];
    stored::publish(place, record).await?;
    decodes(place, record.id, 1).await?;
    let start = Instant::now();
    let pid = attempt(record.id).context("the pod's processes are not on this machine")?;
    ensure!(Command::new("kill").args(["-9", &pid]).status()?.success(), "not killed");
    let again = decodes(place, record.id, 2).await?;
    place.storage.change(record.id, &Change::Cancel).await?;
    Ok((again - start).as_secs_f64())
}

/// When this attempt has got somewhere. It says so once a second, so it began earlier than that.
async fn decodes(place: &Place, id: ConversionId, attempt: u32) -> Result<Instant> {
    stored::until(&place.storage, id, |record| {
        record.claimed_attempt == attempt && record.progress > Some(0)
    })
    .await
}

/// The process of a conversion's attempt, which its environment tells from all others.
fn attempt(id: ConversionId) -> Option<String> {
    let wanted = format!("CONVERSION_ID={id}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ours = processes.filter_map(|process| {
        let environment = fs::read(process.path().join("environ")).ok()?;
        let arguments = fs::read(process.path().join("cmdline")).ok()?;
        let has = |all: &[u8], one: &[u8]| all.split(|byte| *byte == 0).any(|it| it == one);
        (has(&environment, wanted.as_bytes()) && has(&arguments, b"attempt"))
            .then(|| process.file_name().to_string_lossy().into_owned())
    });
    ours.next()
}
