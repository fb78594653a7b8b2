//! Parts die, and what was accepted still comes to its end.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each, upload_all},
    leftovers::only_what_was_accepted,
    process::{output_of, with_environment},
    stack::Stack,
    wait::{self, pause},
};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

pub(super) async fn the_dispatcher_is_killed_at_thirty_random_moments(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..10 {
        let (user, clip) = (user.clone(), clips::clip(stack.folder(), 300 + 100 * n, 20.0)?);
        uploads.push(async move {
            pause(Duration::from_millis(1500) * n).await;
            let id = user.upload(&clip).await?;
            anyhow::Ok(Accepted { client: user, id, clip })
        });
    }
    let killing = async {
        for _ in 0..30 {
            // The faults must not always hit the same line.
            pause(Duration::from_millis(1500).mul_f64(rand::random())).await;
            stack.kill_dispatcher().await?;
        }
        Ok(())
    };
    let (accepted, ()) = tokio::try_join!(try_join_all(uploads), killing)?;
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

/// The only slot is still its own, though somebody waits for it.
pub(super) async fn a_killed_converter_is_replaced_within_20_s(stack: &mut Stack) -> Result {
    let (user, other) = (stack.user("ada").await?, stack.user("bob").await?);
    // Long enough to be killed while it is at work.
    let clip = clips::clip(stack.folder(), 440, 900.0)?;
    let (mut accepted, mut times) = (Vec::new(), Vec::new());
    for _ in 0..losses() {
        let id = user.upload(&clip).await?;
        let first = converter_of(&id).await?;
        let one = Accepted { client: user.clone(), id, clip: clip.clone() };
        until_at_work(&one, 1).await?;
        let behind = upload_all(vec![(other.clone(), clip.clone())]).await?;
        output_of(Command::new("kill").args(["-9", &first.to_string()]), None)?;
        let killed = Instant::now();
        until_at_work(&one, 2).await?;
        times.push(killed.elapsed());
        let waiting = other.conversion(&behind[0].id).await?;
        ensure!(waiting["state"] == "queued", "it took another's slot: {waiting}");
        user.mp3(&one.id).await?;
        accepted.push(one);
        accepted.extend(behind);
    }
    all_within_20_s(times)?;
    one_mp3_each(stack, &accepted).await
}

pub(super) async fn broker_wiped_and_all_jobs_deleted(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..5 {
        // Long enough that work is left when the broker has been wiped.
        uploads.push((user.clone(), clips::clip(stack.folder(), 300 + 150 * n, 1200.0)?));
    }
    let accepted = upload_all(uploads).await?;
    let Stack::Cluster(cluster) = &*stack else {
        return Ok(());
    };
    wait::until_true("Jobs", LONG, async || Ok(!cluster.jobs()?.is_empty())).await?;
    cluster.kubectl(&["delete", "jobs", "--all", "--wait=false"], None)?;
    cluster.wipe_broker()?;
    let wiped = Instant::now();
    wait::until_true("work to go on", LONG, async || {
        let jobs =
            cluster.kubectl(&["get", "jobs", "-o", "jsonpath={.items[*].status.active}"], None)?;
        Ok(jobs.contains('1'))
    })
    .await?;
    ensure!(wiped.elapsed() < Duration::from_secs(60), "healed after {:?}", wiped.elapsed());
    one_mp3_each(stack, &accepted).await
}

pub(super) async fn messages_lost_while_the_server_is_down(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..4 {
        uploads.push((user.clone(), clips::clip(stack.folder(), 300 + 150 * n, 60.0)?));
    }
    let accepted = upload_all(uploads).await?;
    let Stack::Embedded(server) = &mut *stack else {
        return Ok(());
    };
    server.stop().await?;
    let data = &server.data;
    for name in ["messages.sqlite", "messages.sqlite-wal", "messages.sqlite-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    server.restart().await?;
    for upload in &accepted {
        user.mp3(&upload.id).await?;
    }
    Ok(())
}

/// The process that works on a conversion, in a pod or not.
async fn converter_of(id: &str) -> Result<i32> {
    let entry = format!("CONVERSION_ID={id}");
    wait::until("the converter's process", LONG, async || {
        Ok(with_environment(&entry, "attempt").first().copied())
    })
    .await
    .context("is this machine the node?")
}

/// How often the same thing dies: often enough in `make soak` for what is rare to show.
pub(super) fn losses() -> usize {
    if env::var("SOAK_MINUTES").is_ok() { 25 } else { 1 }
}

/// Waits until it has been claimed in this attempt.
pub(super) async fn until_at_work(one: &Accepted, attempt: u32) -> Result {
    let what = format!("attempt {attempt} of {} to be at work", one.id);
    wait::until_true(&what, LONG, async || {
        let record = one.client.conversion(&one.id).await?;
        ensure!(record["state"] != "failed", "{record}");
        Ok(record["attempt"] == attempt && record["progress"].is_number())
    })
    .await
}

/// From each death until the next attempt was at work.
pub(super) fn all_within_20_s(mut times: Vec<Duration>) -> Result {
    times.sort();
    eprintln!("of {} that died, the next attempt was at work after {times:.1?}", times.len());
    let longest = times.last().context("a time")?;
    ensure!(*longest < Duration::from_secs(20), "it took {longest:?}");
    Ok(())
}
