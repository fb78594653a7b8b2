//! Parts of the cluster itself are killed and come back: nothing is lost, nothing is done twice, and
//! it goes on by itself. Told to the breakable cluster, one story at a time.

use crate::{
    Result,
    client::{Client, LONG, in_two_halves},
    clips,
    judge::{Accepted, one_mp3_each, upload_all},
    leftovers::{chunks, failures, only_what_was_accepted},
    stack::{Stack, cluster::Cluster},
    wait::{self, pause},
};
use anyhow::{Context, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// Longest time until all goes on after the API server or the kubelet was away. Kubernetes itself is
/// slow to notice: its watches are set up again after pauses that have grown to 51 s by then.
const GOES_ON: Duration = Duration::from_secs(120);

pub(super) async fn rabbitmq_is_killed_thrice(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    // While uploading: nobody waits long for the broker's confirm.
    cluster.site.part("kill", "rabbitmq")?;
    let began = Instant::now();
    let mut accepted = upload(stack, &user, 0..3, 60.0).await?;
    ensure!(began.elapsed() < Duration::from_secs(15), "uploads took {:?}", began.elapsed());
    cluster.site.part("start", "rabbitmq")?;
    // While dispatching.
    accepted.extend(upload(stack, &user, 3..6, 60.0).await?);
    wait::until_true("a Job", LONG, async || Ok(!cluster.jobs()?.is_empty())).await?;
    away(cluster, "rabbitmq", Duration::from_secs(2)).await?;
    // While Jobs run, which need no broker.
    accepted.extend(upload(stack, &user, 6..8, 900.0).await?);
    let last = accepted.last().context("an upload")?;
    user.at_work(&last.id).await?;
    cluster.site.part("kill", "rabbitmq")?;
    user.mp3(&last.id).await?;
    cluster.site.part("start", "rabbitmq")?;
    judged(stack, &accepted).await
}

pub(super) async fn mongod_is_killed_thrice(stack: &mut Stack) -> Result {
    let clip = clips::clip(stack.folder(), 440, 1800.0)?;
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    // During an upload: an error or a success, and then, with the same key, one conversion.
    let bytes = std::fs::read(&clip.path)?;
    let (body, send_rest) = in_two_halves(&bytes);
    let killed = async {
        let site = cluster.site.clone();
        let begun = async || Ok(chunks(cluster, "videos").await? > 0);
        wait::until_true("a part of it to be stored", LONG, begun).await?;
        site.part("kill", "mongod")?;
        site.part("start", "mongod")?;
        // The upload may have been broken off.
        send_rest();
        anyhow::Ok(())
    };
    let upload = user.post_video("film.mp4", body, "one-key");
    let (answer, killed) = tokio::join!(upload, killed);
    killed?;
    if let Ok(answer) = answer {
        let status = answer.status();
        ensure!(status == StatusCode::ACCEPTED || status.is_server_error(), "{status}");
    }
    let again = wait::until("the repeated upload to be accepted", LONG, async || {
        let answer = user.post_video("film.mp4", bytes.clone(), "one-key").await?;
        let answer = answer.error_for_status()?;
        Ok(answer.json::<Value>().await?["id"].as_str().map(str::to_owned))
    });
    let accepted = vec![Accepted { client: user.clone(), id: again.await?, clip }];
    // While an attempt reads, and while the next one writes.
    user.at_work(&accepted[0].id).await?;
    away(cluster, "mongod", Duration::from_secs(1)).await?;
    let writing = async || Ok(chunks(cluster, "mp3s").await? > 0);
    wait::until_true("an MP3 to be written", LONG, writing).await?;
    away(cluster, "mongod", Duration::from_secs(1)).await?;
    let list: Value = {
        user.mp3(&accepted[0].id).await?;
        user.get("/v1/conversions").await?.json().await?
    };
    ensure!(list["items"].as_array().is_some_and(|all| all.len() == 1), "{list}");
    judged(stack, &accepted).await
}

pub(super) async fn the_api_server_is_away_for_30_s(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    let mut accepted = upload(stack, &user, 0..2, 900.0).await?;
    for upload in &accepted {
        user.at_work(&upload.id).await?;
    }
    cluster.site.part("kill", "apiserver")?;
    let away = Instant::now();
    // Who waits, waits on, and what is at work comes to its end and is announced, however long that
    // takes on a busy machine.
    accepted.extend(upload(stack, &user, 2..5, 60.0).await?);
    for upload in &accepted[..2] {
        user.mp3(&upload.id).await?;
    }
    wait::until_true("their events", LONG, async || Ok(cluster.messages("mp3")? == 2)).await?;
    pause(Duration::from_secs(30).saturating_sub(away.elapsed())).await;
    cluster.site.part("start", "apiserver")?;
    let back = Instant::now();
    for upload in &accepted {
        user.mp3(&upload.id).await?;
    }
    ensure!(back.elapsed() < GOES_ON, "that took {:?}", back.elapsed());
    ensure!(failures(cluster).await? == 0, "an attempt was counted as failed");
    judged(stack, &accepted).await
}

/// Two parts that have nothing to do with one another, so that one minute tells of both.
pub(super) async fn kubelet_and_mariadb_are_away_for_a_minute(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    let mut accepted = upload(stack, &user, 0..2, 900.0).await?;
    for upload in &accepted {
        user.at_work(&upload.id).await?;
    }
    cluster.site.part("kill", "kubelet")?;
    cluster.site.part("kill", "mariadb")?;
    let away = Instant::now();
    // Who is signed in uploads, lists and downloads; nobody else gets in, and is told why.
    accepted.extend(upload(stack, &user, 2..5, 60.0).await?);
    for upload in &accepted[..2] {
        user.mp3(&upload.id).await?;
    }
    let list: Value = user.get("/v1/conversions").await?.json().await?;
    ensure!(list["items"].as_array().is_some_and(|all| all.len() == 5), "{list}");
    let login = Client::sign_in(stack.url(), "ada", "ada's long password").await;
    let told = login.err().context("a login without the accounts")?.to_string();
    ensure!(told.contains("503") && told.contains("\"code\":\"unavailable\""), "{told}");
    pause(Duration::from_secs(60).saturating_sub(away.elapsed())).await;
    cluster.site.part("start", "mariadb")?;
    cluster.site.part("start", "kubelet")?;
    let back = Instant::now();
    // An account can be added only once, so whether one gets in is tried with an older one.
    wait::until_true("logins to be possible", Duration::from_secs(30), async || {
        Client::sign_in(stack.url(), "ada", "ada's long password").await.map(|_| true)
    })
    .await?;
    stack.user("grace").await?;
    for upload in &accepted {
        user.mp3(&upload.id).await?;
    }
    ensure!(back.elapsed() < GOES_ON, "that took {:?}", back.elapsed());
    ensure!(failures(cluster).await? == 0, "an attempt was counted as failed");
    judged(stack, &accepted).await
}

/// Kills a part, and brings it back after some time.
async fn away(cluster: &Cluster, part: &str, length: Duration) -> Result {
    cluster.site.part("kill", part)?;
    pause(length).await;
    cluster.site.part("start", part)
}

async fn upload(
    stack: &Stack,
    user: &Client,
    numbers: Range<u32>,
    seconds: f64,
) -> Result<Vec<Accepted>> {
    let clips = numbers.map(|n| clips::clip(stack.folder(), 300 + 150 * n, seconds));
    upload_all(clips.map(|clip| Ok((user.clone(), clip?))).collect::<Result<_>>()?).await
}

async fn judged(stack: &mut Stack, accepted: &[Accepted]) -> Result {
    one_mp3_each(stack, accepted).await?;
    only_what_was_accepted(stack.cluster()?, accepted).await
}
