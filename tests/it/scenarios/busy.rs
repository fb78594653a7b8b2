//! A machine with more to do than it can, for as long as `BUSY_MINUTES`, else 5: whoever lives is never
//! taken for dead, and whoever has one video does not wait for those who have many.

use crate::{
    Result,
    client::Client,
    clips::{self, Clip},
    stack::{Stack, watch::Watch},
    wait,
};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Longest time until one has ended that waits behind the others.
const LONG: Duration = Duration::from_secs(1800);
/// How many conversions the user who has many has at any time.
const MANY: u32 = 6;

/// How many Jobs there may be.
pub(super) const SLOTS: usize = 2;

/// Conversions in the order in which their Jobs came to be.
pub(super) type Begun = Arc<Mutex<Vec<String>>>;

pub(super) async fn nobody_alive_is_taken_for_dead_nor_made_to_wait(stack: &mut Stack) -> Result {
    let minutes = env::var("BUSY_MINUTES").map_or(Ok(5), |minutes| minutes.parse())?;
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let (ada, bob) = (stack.user("ada").await?, stack.user("bob").await?);
    let folder = stack.folder();
    let many = try_join_all((0..MANY).map(async |n| {
        let clip = clips::clip(folder, 300 + 70 * n, 1200.0)?;
        let mut done = 0;
        while Instant::now() < end {
            let id = ada.upload(&clip).await?;
            converted_at_once(&ada, &id, &clip, folder).await?;
            done += 1;
        }
        anyhow::Ok(done)
    }));
    let single = async {
        let clip = clips::clip(folder, 900, 1200.0)?;
        let mut overtaken = BTreeMap::<usize, usize>::new();
        while Instant::now() < end {
            // A watch lasts for half an hour at least, and tells first of what is there already.
            let (_watch, begun) = begun(stack)?;
            let there = stack.cluster()?.jobs()?.join(" ");
            let id = bob.upload(&clip).await?;
            converted_at_once(&bob, &id, &clip, folder).await?;
            let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            let own = begun.iter().position(|it| *it == id).context("no Job was seen")?;
            let others = begun[..own].iter().filter(|it| !there.contains(*it)).count();
            *overtaken.entry(others).or_default() += 1;
        }
        Ok(overtaken)
    };
    let (many, overtaken) = tokio::try_join!(many, single)?;
    eprintln!("{many:?} of one user, none taken over; another's single ones were overtaken by");
    eprintln!("so many, so often: {overtaken:?}");
    // Slots that became free in the moment of the upload may be taken.
    ensure!(overtaken.keys().all(|jobs| *jobs <= SLOTS), "{overtaken:?}");
    let limit = Duration::from_secs(60);
    wait::until_true("nothing to be left", limit, async || Ok(stack.stored_mp3s().await? == 0))
        .await
}

/// It ends with its MP3 in its first attempt; and is deleted.
async fn converted_at_once(user: &Client, id: &str, clip: &Clip, folder: &Path) -> Result {
    let record: Value = wait::until("its end", LONG, async || {
        let record = user.conversion(&format!("{id}?wait=30")).await?;
        Ok((!record["finished_at"].is_null()).then_some(record))
    })
    .await?;
    ensure!(record["attempt"] == 1, "an attempt that lived was taken over: {record}");
    clips::check(&user.mp3(id).await?, clip, folder)?;
    let video = format!("/v1/videos/{}", record["video"].as_str().context("a video")?);
    let status = user.request(Method::DELETE, &video).send().await?.status();
    ensure!(status.is_success(), "{video}: {status}");
    Ok(())
}

pub(super) fn begun(stack: &Stack) -> Result<(Watch, Begun)> {
    let begun = Begun::default();
    let seen = begun.clone();
    let watch = stack.cluster()?.watch_jobs(move |kind, job| {
        let id = job["metadata"]["labels"]["audio-converter.dev/conversion"].as_str();
        if let (Some(id), "ADDED") = (id, kind) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
    })?;
    Ok((watch, begun))
}
