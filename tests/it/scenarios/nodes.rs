//! Nodes are lost, with what was at work on them and what was only sent there.

use super::deaths::{all_within_20_s, losses, until_at_work};
use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each, upload_all},
    stack::Stack,
    wait,
};
use anyhow::ensure;
use futures::future::try_join_all;
use std::{
    fs,
    time::{Duration, Instant},
};

/// Asks where the pods are.
const NODES: [&str; 4] = ["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"];
/// Sooner than a Job that does not start is given up for that.
const ELSEWHERE: Duration = Duration::from_secs(150);

/// The scheduler believes in a lost node for most of a minute: the next attempts must be kept off it. Both
/// cores are busy, and nobody who is alive is taken for dead.
pub(super) async fn a_lost_node_is_replaced_within_20_s(stack: &mut Stack) -> Result {
    let folder = stack.folder().to_owned();
    let user = stack.user("ada").await?;
    let (mut accepted, mut times) = (Vec::new(), Vec::new());
    prefer_the_worker(stack).await?;
    for _ in 0..losses() {
        let cluster = stack.cluster()?;
        cluster.site.worker("start")?;
        // Until then it is avoided, as it should be.
        wait::until_true("what was on it to be gone", LONG, async || {
            Ok(!cluster.kubectl(&NODES, None)?.contains("-worker"))
        })
        .await?;
        let mut uploads = Vec::new();
        for n in 0..2 {
            uploads.push((user.clone(), clips::clip(&folder, 440 + 100 * n, 900.0)?));
        }
        let ours = upload_all(uploads).await?;
        wait::until_true("both to be on the worker", LONG, async || {
            Ok(cluster.kubectl(&NODES, None)?.matches("-worker").count() == 2)
        })
        .await?;
        try_join_all(ours.iter().map(|one| until_at_work(one, 1))).await?;
        cluster.site.worker("kill")?;
        let lost = Instant::now();
        let waits = ours.iter().map(async |one| {
            until_at_work(one, 2).await?;
            anyhow::Ok(lost.elapsed())
        });
        times.extend(try_join_all(waits).await?);
        for one in &ours {
            one.client.mp3(&one.id).await?;
            let record = one.client.conversion(&one.id).await?;
            ensure!(record["attempt"] == 2, "a live attempt was taken for dead: {record}");
        }
        accepted.extend(ours);
    }
    stack.cluster()?.site.worker("remove")?;
    all_within_20_s(times)?;
    one_mp3_each(stack, &accepted).await
}

/// Kubernetes gives the node up after most of a minute, takes the pod off it a minute later, and would keep
/// the Job until the node comes back.
pub(super) async fn what_had_not_begun_on_a_lost_node_goes_elsewhere(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    prefer_the_worker(stack).await?;
    let cluster = stack.cluster()?;
    cluster.site.worker("start")?;
    cluster.site.worker("kill")?;
    let lost = Instant::now();
    let clip = clips::clip(stack.folder(), 440, 20.0)?;
    let id = user.upload(&clip).await?;
    wait::until_true("its pod to be sent to the worker", LONG, async || {
        Ok(cluster.kubectl(&NODES, None)?.contains("-worker"))
    })
    .await?;
    user.mp3(&id).await?;
    let took = lost.elapsed();
    let record = user.conversion(&id).await?;
    eprintln!("sent to a lost node, and converted elsewhere after {took:.1?}");
    ensure!(record["attempt"] == 2, "{record}");
    ensure!(took < ELSEWHERE, "it took {took:?}");
    cluster.site.worker("remove")?;
    one_mp3_each(stack, &[Accepted { client: user, id, clip }]).await
}

/// Has Jobs prefer the node that is to be lost.
async fn prefer_the_worker(stack: &mut Stack) -> Result {
    let template = stack.folder().join("template.yaml");
    fs::write(&template, ON_THE_WORKER)?;
    let cluster = stack.cluster_mut()?;
    let setting = ("DISPATCHER_JOB_TEMPLATE", template.display().to_string());
    cluster.dispatcher.settings.push(setting);
    cluster.kill_dispatcher().await
}

/// May be on the worker, and had rather be there than elsewhere.
const ON_THE_WORKER: &str = "
spec:
  tolerations: [{key: worker, operator: Exists}]
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 50
          preference: {matchExpressions: [{key: worker, operator: Exists}]}
";
