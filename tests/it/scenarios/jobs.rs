//! What can befall a Job, its pod or its process, through Kubernetes or past it.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each, upload_all},
    leftovers::{chunks_of, failures, mp3_of_claim, only_what_was_accepted},
    process::{output_of, program},
    stack::Stack,
    wait,
};
use anyhow::{Context, ensure};
use queue::{Message, Queue, VideoMessage};
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};

pub(super) async fn jobs_and_pods_are_deleted(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..4 {
        uploads.push((user.clone(), clips::clip(stack.folder(), 300 + 150 * n, 900.0)?));
    }
    let accepted = upload_all(uploads).await?;
    let cluster = stack.cluster()?;
    let deletions: [&[&str]; 4] = [
        &["delete", "job", "--wait=false"],
        // The pod stays behind and works on; it is nobody's.
        &["delete", "job", "--cascade=orphan"],
        &["delete", "pod", "--wait=false"],
        &["delete", "pod", "--force", "--grace-period=0"],
    ];
    for (upload, deletion) in accepted.iter().zip(deletions) {
        user.at_work(&upload.id).await?;
        let whose = format!("--selector=audio-converter.dev/conversion={}", upload.id);
        cluster.kubectl(&[deletion, &[whose.as_str()]].concat(), None)?;
    }
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

pub(super) async fn memory_runs_out(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::with_large_cover(&clips::clip(stack.folder(), 440, 60.0)?)?;
    let id = user.upload(&clip).await?;
    let record = user.finished(&id).await?;
    let code = record["error"]["code"].as_str().unwrap_or_default();
    ensure!(record["attempt"] == 2, "once more, with more memory: {record}");
    ensure!(record["state"] == "succeeded" || code == "out_of_memory", "{record}");
    ensure!(failures(stack.cluster()?).await? == 0, "it was counted as another trouble");
    only_what_was_accepted(stack.cluster()?, &[Accepted { client: user, id, clip }]).await
}

/// A second process of the first attempt takes the conversion over and is stopped in the middle of
/// its MP3. It is given up, another attempt makes the MP3, the sweeper deletes what the stopped one
/// has written; and then that one goes on.
pub(super) async fn a_stopped_attempt_goes_on_after_the_sweeper(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 1200.0)?;
    let id = user.upload(&clip).await?;
    user.at_work(&id).await?;
    let cluster = stack.cluster()?;
    let mut sleeper = tokio::process::Command::new(program("converter-job"))
        .arg("attempt")
        .env("STORAGE_URL", cluster.storage_url())
        .env("CONVERSION_ID", &id)
        .env("ATTEMPT", user.conversion(&id).await?["attempt"].to_string())
        .kill_on_drop(true)
        .spawn()?;
    let pid = sleeper.id().context("it has ended")?.to_string();
    let written = async || mp3_of_claim(cluster, 2).await;
    let mp3 = wait::until("the second process to write its MP3", LONG, written).await?;
    output_of(Command::new("kill").args(["-STOP", &pid]), None)?;
    let stopped = Instant::now();
    wait::until_true("another attempt", LONG, async || {
        Ok(user.conversion(&id).await?["attempt"] == 2)
    })
    .await?;
    ensure!(stopped.elapsed() < Duration::from_secs(30), "after {:?}", stopped.elapsed());
    let swept = async || Ok(chunks_of(cluster, &mp3).await? == 0);
    wait::until_true("the stopped one's MP3 to be swept", LONG, swept).await?;
    output_of(Command::new("kill").args(["-CONT", &pid]), None)?;
    let ended = sleeper.wait().await?;
    ensure!([Some(0), Some(75)].contains(&ended.code()), "the stopped one ended with {ended}");
    let accepted = [Accepted { client: user, id, clip }];
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

pub(super) async fn an_image_cannot_be_pulled(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 3.0)?;
    let id = user.upload(&clip).await?;
    wait::until_true("the reason to be told", LONG, async || {
        let record = user.conversion(&id).await?;
        let why = record["waiting"].as_str().unwrap_or_default();
        Ok(record["state"] == "queued" && why.contains("Image"))
    })
    .await?;
    let cluster = stack.cluster_mut()?;
    let image = cluster.site.image.clone();
    let lets = json!({ "data": { "image": image } }).to_string();
    cluster.kubectl(&["patch", "configmap", "converter-job-policy", "-p", &lets], None)?;
    cluster.dispatcher.settings.push(("CONVERTER_IMAGE", image));
    stack.kill_dispatcher().await?;
    user.mp3(&id).await?;
    ensure!(failures(stack.cluster()?).await? == 0, "it was counted as an attempt");
    let accepted = [Accepted { client: user, id, clip }];
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

pub(super) async fn a_message_after_the_jobs_ttl_makes_no_job(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let mut accepted =
        upload_all(vec![(user.clone(), clips::clip(stack.folder(), 440, 3.0)?)]).await?;
    user.mp3(&accepted[0].id).await?;
    let cluster = stack.cluster()?;
    wait::until_true("its Job to go away", LONG, async || Ok(cluster.jobs()?.is_empty())).await?;
    let record: Value = user.conversion(&accepted[0].id).await?;
    let message = Message::Video(VideoMessage {
        conversion: Some(accepted[0].id.parse()?),
        video_fid: record["video"].as_str().context("a video")?.to_owned(),
        username: Some("ada".to_owned()),
        trace: None,
    });
    let queue = Queue::open(&stack.queue_url()).await?;
    for _ in 0..3 {
        queue.publish(&message).await?;
    }
    let taken = async || Ok(cluster.messages("video")? == 0);
    wait::until_true("the messages to be taken", LONG, taken).await?;
    // What is dispatched after them shows that they have had their turn.
    accepted
        .extend(upload_all(vec![(user.clone(), clips::clip(stack.folder(), 600, 3.0)?)]).await?);
    wait::until_true("the next Job", LONG, async || Ok(!cluster.jobs()?.is_empty())).await?;
    let jobs = cluster.jobs()?;
    ensure!(jobs.len() == 1 && jobs[0].contains(&accepted[1].id), "{jobs:?}");
    ensure!(user.conversion(&accepted[0].id).await? == record, "it has changed");
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}
