//! Things happen twice that should happen once.

use crate::{
    Result, clips,
    judge::{Accepted, one_mp3_each, upload_all},
    process::{output_of, program},
    stack::{Stack, cluster::Cluster},
};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use queue::{Message, Queue, VideoMessage};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{Arc, Mutex},
};

pub(super) async fn every_attempt_is_started_twice(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..4 {
        uploads.push((user.clone(), clips::clip(stack.folder(), 300 + 150 * n, 60.0)?));
    }
    let twins = match stack {
        Stack::Cluster(cluster) => Some(double_every_pod(cluster)?),
        Stack::Embedded(_) => None,
    };
    let accepted = upload_all(uploads).await?;
    if let Stack::Embedded(_) = stack {
        for upload in &accepted {
            run_twin(stack, upload).await?;
        }
    }
    for upload in &accepted {
        user.mp3(&upload.id).await?;
    }
    if let Some((watch, count)) = twins {
        drop(watch);
        let count = *count.lock().map_err(|_| anyhow::anyhow!("the watch failed"))?;
        ensure!(count >= accepted.len(), "only {count} pods were doubled");
    }
    one_mp3_each(stack, &accepted).await
}

type Doubling = (crate::stack::watch::Watch, Arc<Mutex<usize>>);

/// For each Job a bare pod from the same template, under other labels.
fn double_every_pod(cluster: &Cluster) -> Result<Doubling> {
    let (namespace, count) = (cluster.name.clone(), Arc::new(Mutex::new(0)));
    let counted = count.clone();
    let watch = cluster.watch_jobs(move |event, job| {
        if event != "ADDED" {
            return;
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("twin-{}", job["metadata"]["name"].as_str().unwrap_or_default()), "labels": { "app": "twin" } },
            "spec": job["spec"]["template"]["spec"],
        });
        let created = output_of(Command::new("kubectl").args(["-n", &namespace, "create", "-f", "-"]), Some(&pod.to_string()));
        match (created, counted.lock()) {
            (Ok(_), Ok(mut counted)) => *counted += 1,
            (Err(error), _) => eprintln!("{error:#}"),
            _ => {}
        }
    })?;
    Ok((watch, count))
}

/// A second process of the attempt that is at work, if one still is.
async fn run_twin(stack: &Stack, upload: &Accepted) -> Result {
    let attempt = loop {
        let record = upload.client.conversion(&upload.id).await?;
        if record["state"] != "queued" {
            break record["attempt"].to_string();
        }
        tokio::task::yield_now().await;
    };
    let status = tokio::process::Command::new(program("converter-job"))
        .arg("attempt")
        .env("STORAGE_URL", stack.queue_url())
        .env("CONVERSION_ID", &upload.id)
        .env("ATTEMPT", attempt)
        .kill_on_drop(true)
        .status()
        .await?;
    // 75 where the dispatcher, which knows only its own children, has taken the attempt back.
    ensure!([Some(0), Some(75)].contains(&status.code()), "the twin ended with {status}");
    Ok(())
}

pub(super) async fn the_same_message_three_times_makes_one_job(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 3.0)?;
    let accepted = upload_all(vec![(user.clone(), clip)]).await?;
    let record: Value = user.conversion(&accepted[0].id).await?;
    let message = Message::Video(VideoMessage {
        conversion: Some(accepted[0].id.parse()?),
        video_fid: record["video"].as_str().context("a video")?.to_owned(),
        username: Some("ada".to_owned()),
        trace: None,
    });
    if let Stack::Embedded(server) = stack {
        server.stop().await?;
    }
    let queue = Queue::open(&stack.queue_url()).await?;
    for _ in 0..3 {
        queue.publish(&message).await?;
    }
    drop(queue);
    if let Stack::Embedded(server) = stack {
        server.restart().await?;
    }
    user.mp3(&accepted[0].id).await?;
    match stack {
        Stack::Cluster(cluster) => ensure!(cluster.jobs()?.len() == 1, "{:?}", cluster.jobs()?),
        Stack::Embedded(_) => {
            ensure!(user.conversion(&accepted[0].id).await?["attempt"].as_u64() <= Some(2))
        }
    }
    one_mp3_each(stack, &accepted).await
}

pub(super) async fn one_idempotency_key_makes_one_conversion(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 2.0)?;
    let bytes = std::fs::read(&clip.path)?;
    let answers =
        try_join_all((0..20).map(|_| user.post_video("film.mp4", bytes.clone(), "one-key")))
            .await?;
    let mut ids = Vec::new();
    for answer in answers {
        ensure!(answer.status() == 202, "{}", answer.status());
        let record: Value = answer.json().await?;
        ids.push(record["id"].as_str().context("an id")?.to_owned());
    }
    ids.dedup();
    ensure!(ids.len() == 1, "{ids:?}");
    let other = user.post_video("film.mp4", "other bytes", "one-key").await?;
    ensure!(other.status() == 422, "{}", other.status());
    let problem: Value = other.json().await?;
    ensure!(problem["code"] == "idempotency_key_reused", "{problem}");
    one_mp3_each(stack, &[Accepted { client: user, id: ids.remove(0), clip }]).await
}
