//! Two dispatchers: one acts, and the other goes on when it cannot.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each, upload_all},
    leftovers::only_what_was_accepted,
    stack::{Stack, cluster::Cluster},
    wait::{self, pause},
};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// When the Lease came into the hands of whoever is not `before`.
async fn taken_over(cluster: &Cluster, before: &Value) -> Result<Timestamp> {
    let spec = wait::until("another holder", LONG, async || {
        let spec = cluster.lease()?["spec"].take();
        Ok((spec["holderIdentity"].is_string() && spec["holderIdentity"] != *before)
            .then_some(spec))
    })
    .await?;
    Ok(spec["acquireTime"].as_str().context("acquireTime")?.parse()?)
}

/// One acts and the other stands by, as each says first; they have one log.
async fn both_are_ready(stack: &mut Stack) -> Result {
    let cluster = stack.cluster_mut()?;
    wait::until_true("one to act and one to stand by", LONG, async || {
        let log = cluster.dispatcher.log();
        Ok(log.matches("standing by").count() > 1 && log.contains("active=true"))
    })
    .await
}

pub(super) async fn another_dispatcher_takes_over(stack: &mut Stack) -> Result {
    both_are_ready(stack).await?;
    let user = stack.user("ada").await?;
    let mut accepted = Vec::new();
    for (signal, limit) in [("-KILL", 10.0), ("-TERM", 1.0), ("-KILL", 10.0), ("-TERM", 1.0)] {
        let clip = clips::clip(stack.folder(), 440, 5.0)?;
        let folder = stack.folder().to_owned();
        let cluster = stack.cluster_mut()?;
        let before = cluster.lease()?["spec"]["holderIdentity"].take();
        let [active, _] = cluster.dispatchers()?;
        active.signal(signal)?;
        let gone = Timestamp::now();
        let id = user.upload(&clip).await?;
        let took = taken_over(cluster, &before).await?.duration_since(gone).as_secs_f64();
        eprintln!("{signal}: taken over after {took:.2} s");
        ensure!(took < limit, "{signal}: taken over after {took} s");
        user.mp3(&id).await?;
        accepted.push(Accepted { client: user.clone(), id, clip });
        let [_, gone] = cluster.dispatchers()?;
        wait::until_true("its end", LONG, async || Ok(gone.exit_code()?.is_some())).await?;
        let stood = gone.log().matches("standing by").count();
        gone.revive(&folder)?;
        wait::until_true("it to stand by", LONG, async || {
            Ok(gone.log().matches("standing by").count() > stood)
        })
        .await?;
    }
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

/// One that was frozen knows nothing of its successor when it goes on: no more Jobs than allowed, and
/// each video once.
pub(super) async fn a_frozen_dispatcher_does_no_harm(stack: &mut Stack) -> Result {
    both_are_ready(stack).await?;
    let user = stack.user("ada").await?;
    let most = most_alive(stack.cluster()?)?;
    let mut accepted = Vec::new();
    for round in 0..2 {
        let mut uploads = Vec::new();
        for n in 0..5 {
            uploads.push((user.clone(), clips::clip(stack.folder(), 300 + 100 * n, 240.0)?));
        }
        accepted.extend(upload_all(uploads).await?);
        let cluster = stack.cluster_mut()?;
        let before = cluster.lease()?["spec"]["holderIdentity"].take();
        let [active, _] = cluster.dispatchers()?;
        active.signal("-STOP")?;
        taken_over(cluster, &before).await?;
        // Its successor has begun to act.
        pause(Duration::from_secs(round)).await;
        let [_, frozen] = cluster.dispatchers()?;
        frozen.signal("-CONT")?;
    }
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await?;
    let most = *most.1.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    ensure!((1..=2).contains(&most), "{most} Jobs alive at once");
    Ok(())
}

type Most = (crate::stack::watch::Watch, Arc<Mutex<usize>>);

/// How many Jobs were alive at once, ever.
fn most_alive(cluster: &Cluster) -> Result<Most> {
    let most = Arc::new(Mutex::new(0));
    let (seen, mut alive) = (most.clone(), HashSet::new());
    let watch = cluster.watch_jobs(move |kind, job| {
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ended = conditions.iter().any(|it| {
            (it["type"] == "Complete" || it["type"] == "Failed") && it["status"] == "True"
        });
        if ended || kind == "DELETED" {
            alive.remove(&name)
        } else {
            alive.insert(name)
        };
        let mut most = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *most = alive.len().max(*most);
    })?;
    Ok((watch, most))
}
