//! A cluster that is shared: others say when there is room, and waiting for it is no failure.

use super::busy::begun;
use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each},
    stack::Stack,
    wait,
};
use anyhow::ensure;
use serde_json::Value;
use std::sync::PoisonError;

/// Kueue lets Jobs of its queues begin by taking back their suspension; here the test does.
pub(super) async fn kueue_admits_the_jobs_of_its_queue(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster_mut()?;
    cluster.dispatcher.settings.push(("DISPATCHER_KUEUE_QUEUE", "videos".to_owned()));
    // For so long a Job that could begin might take to do so.
    cluster.dispatcher.settings.push(("DISPATCHER_PENDING_LIMIT_SECONDS", "8".to_owned()));
    cluster.kill_dispatcher().await?;
    let clip = clips::clip(stack.folder(), 440, 5.0)?;
    let id = user.upload(&clip).await?;
    let cluster = stack.cluster()?;
    let held = wait::until("it to be held back", LONG, async || {
        let record = user.conversion(&id).await?;
        let held = record["waiting"].as_str().is_some_and(|it| it.contains("held back"));
        Ok(held.then_some(record))
    })
    .await?;
    ensure!(held["state"] == "running" && held["attempt"] == 1, "{held}");
    let jobs: Value =
        serde_json::from_str(&cluster.kubectl(&["get", "jobs", "-o", "json"], None)?)?;
    let job = &jobs["items"][0];
    ensure!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "videos", "{job}");
    ensure!(job["spec"]["suspend"] == true, "{job}");
    wait::pause(std::time::Duration::from_secs(10)).await;
    let held = user.conversion(&id).await?;
    ensure!(held["attempt"] == 1 && held["mp3"].is_null(), "waiting counted as failure: {held}");
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let admit = r#"{"spec": {"suspend": false}}"#;
    cluster.kubectl(&["patch", "job", name, "--type=merge", "-p", admit], None)?;
    user.mp3(&id).await?;
    let done = user.conversion(&id).await?;
    ensure!(done["attempt"] == 1 && done["waiting"].is_null(), "{done}");
    Ok(())
}

/// A quota that is full is back-pressure: what it refuses waits, keeps its turn, and is converted when there is
/// room.
pub(super) async fn a_full_quota_is_no_failure(stack: &mut Stack) -> Result {
    let (user, other) = (stack.user("ada").await?, stack.user("bob").await?);
    let cluster = stack.cluster()?;
    let none = ["create", "quota", "full", "--hard=count/jobs.batch=0"];
    cluster.kubectl(&none, None)?;
    wait::until_true("the quota to be counted", LONG, async || {
        let used = ["get", "quota", "full", "-o", "jsonpath={.status.used}"];
        Ok(cluster.kubectl(&used, None)?.contains("jobs"))
    })
    .await?;
    let clip = clips::clip(stack.folder(), 440, 5.0)?;
    let id = user.upload(&clip).await?;
    let refused = wait::until("it to be refused", LONG, async || {
        let record = user.conversion(&id).await?;
        Ok(record["waiting"].is_string().then_some(record))
    })
    .await?;
    ensure!(refused["state"] == "queued", "{refused}");
    ensure!(refused["waiting"].as_str().is_some_and(|it| it.contains("quota")), "{refused}");
    ensure!(refused["turn"]["position"] == 1, "{refused}");
    let mut accepted = vec![Accepted { client: user.clone(), id, clip: clip.clone() }];
    for client in [&user, &user, &other] {
        let id = client.upload(&clip).await?;
        accepted.push(Accepted { client: client.clone(), id, clip: clip.clone() });
    }
    let (_watch, begun) = begun(stack)?;
    let one = r#"{"spec": {"hard": {"count/jobs.batch": "1"}}}"#;
    cluster.kubectl(&["patch", "quota", "full", "--type=merge", "-p", one], None)?;
    one_mp3_each(stack, &accepted).await?;
    let begun = begun.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let wanted = [0, 3, 1, 2].map(|at: usize| accepted[at].id.clone());
    ensure!(begun == wanted, "begun in this order: {begun:?}, not in this: {wanted:?}");
    Ok(())
}
