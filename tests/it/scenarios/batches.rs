//! Stored videos are converted once more: behind uploads, each once, whoever dies meanwhile.

use crate::{
    Result,
    client::{Client, LONG},
    clips,
    judge::{Accepted, upload_all},
    process::{output_of, program},
    proxy::Proxy,
    stack::{Stack, links::listener_of_pods},
    wait,
};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::Value;
use std::process::Command;

pub(super) async fn a_batch_converts_each_video_once_behind_uploads(stack: &mut Stack) -> Result {
    one_job_at_a_time(stack).await?;
    let (ada, bob) = (stack.user("ada").await?, stack.user("bob").await?);
    stack.admin("root").await?;
    let olds = upload_three(stack, &ada).await?;
    upload_all(vec![(bob.clone(), clips::clip(stack.folder(), 800, 2.0)?)]).await?;
    let wish = ["reprocess", "--preset", "v0", "--owner", "ada", "--replace", "--id", "louder"];
    let estimate = of_root(stack, &[&wish[..], &["--dry-run"]].concat())?;
    ensure!(estimate["found"] == 3 && estimate["videos"] == 3, "{estimate}");
    ensure!(estimate["work_seconds"].as_f64().is_some_and(|work| work > 0.0), "{estimate}");
    of_root(stack, &["dispatching", "pause"])?;
    let made = of_root(stack, &wish)?;
    ensure!(made["id"] == "louder", "{made}");
    wait::until_true("the batch to wait", LONG, async || {
        let batch = of_root(stack, &["batch", "show", "louder"])?;
        ensure!(batch["running"] == 0 && batch["succeeded"] == 0, "{batch}");
        Ok(batch["queued"] == 3 && batch["walked"] == true)
    })
    .await?;
    let clip = clips::clip(stack.folder(), 900, 2.0)?;
    let late = Accepted { id: bob.upload(&clip).await?, client: bob.clone(), clip };
    stack.kill_dispatcher().await?;
    for old in &olds {
        ada.mp3(&old.id).await?;
    }
    ensure!(bob.conversion(&late.id).await?["state"] == "queued", "dispatched while paused");
    of_root(stack, &["dispatching", "resume"])?;
    for _ in 0..2 {
        let done = of_root(stack, &[&wish[..], &["--wait"]].concat())?;
        ensure!(done["state"] == "done" && done["succeeded"] == 3, "{done}");
    }
    let other = of_root(stack, &["reprocess", "--preset", "v4", "--id", "louder"]);
    let told = other.err().context("two batches of one name")?.to_string();
    ensure!(told.contains("batch_exists"), "{told}");
    let news = news(&ada, 3).await?;
    let first = end_of(&bob.finished(&late.id).await?)?;
    let ended = news.iter().map(end_of).collect::<Result<Vec<_>>>()?;
    ensure!(ended.iter().all(|at| *at > first), "bob's at {first}, the batch's at {ended:?}");
    each_has_its_own(stack, &ada, &olds, &news).await
}

pub(super) async fn a_cancelled_batch_leaves_what_is_there(stack: &mut Stack) -> Result {
    let ada = stack.user("ada").await?;
    stack.admin("root").await?;
    let olds = upload_three(stack, &ada).await?;
    of_root(stack, &["dispatching", "pause"])?;
    of_root(stack, &["reprocess", "--preset", "v4", "--replace", "--id", "small"])?;
    let paused = of_root(stack, &["batch", "pause", "small"])?;
    ensure!(paused["state"] == "paused", "{paused}");
    of_root(stack, &["dispatching", "resume"])?;
    // An upload of later goes by.
    let late = clips::clip(stack.folder(), 900, 2.0)?;
    ada.mp3(&ada.upload(&late).await?).await?;
    let batch = of_root(stack, &["batch", "show", "small"])?;
    ensure!(batch["running"] == 0 && batch["succeeded"] == 0, "{batch}");
    of_root(stack, &["batch", "cancel", "small"])?;
    let waited = of_root(stack, &["batch", "show", "small", "--wait"]);
    ensure!(waited.is_err_and(|told| told.to_string().contains("was cancelled")));
    let batch = of_root(stack, &["batch", "show", "small"])?;
    ensure!(batch["succeeded"] == 0 && batch["queued"] == 0, "{batch}");
    for old in &olds {
        ada.mp3(&old.id).await?;
    }
    let nobody = output_of(&mut cli(stack, "ada", &["batch", "list"]), None);
    ensure!(nobody.is_err_and(|told| told.to_string().contains("forbidden")));
    Ok(())
}

pub(super) async fn the_shipped_manifest_converts_once_more(stack: &mut Stack) -> Result {
    let ada = stack.user("ada").await?;
    stack.admin("root").await?;
    let olds = upload_three(stack, &ada).await?;
    let made = output_of(&mut cli(stack, "root", &["token", "create", "for-the-job"]), None)?;
    let made: Value = serde_json::from_str(&made)?;
    let token = made["token"].as_str().context("a token")?;
    let cluster = stack.cluster()?;
    let Some(listener) = listener_of_pods(&cluster.site) else {
        eprintln!("pods cannot reach the gateway here: the Job was not tried");
        return Ok(());
    };
    let gateway = Proxy::start(listener, stack.url().trim_start_matches("http://"))?;
    let image = "localhost/audio-converter/audio-converter:test";
    cluster.site.pack(&program("audio-converter"), image)?;
    let literal = format!("--from-literal=token={token}");
    let namespace = cluster.services_namespace();
    let kubectl = |arguments: &[&str], input| {
        output_of(cluster.site.kubectl().args(["-n", &namespace]).args(arguments), input)
    };
    kubectl(&["create", "secret", "generic", "audio-converter-admin", &literal], None)?;
    let manifest = include_str!("../../../manifests/reprocess.yaml");
    let ours = manifest
        .replace("image: audio-converter\n", &format!("image: {image}\n"))
        .replace("http://gateway:8080", &format!("http://{}", gateway.address()))
        .replace("--was-preset=v4", "--was-preset=v2");
    ensure!(ours.matches(image).count() == 1 && !ours.contains("gateway:8080"), "{ours}");
    let job = kubectl(&["create", "-o", "name", "-f", "-"], Some(&ours))?;
    let job = job.trim();
    kubectl(&["wait", "--for=condition=Complete", "--timeout=120s", job], None)?;
    let told = kubectl(&["logs", job], None)?;
    ensure!(told.contains("louder") && told.contains("done"), "{told}");
    news(&ada, 3).await?;
    for old in &olds {
        ada.mp3(&old.id).await?;
    }
    Ok(())
}

fn end_of(record: &Value) -> Result<Timestamp> {
    Ok(record["finished_at"].as_str().context("an end")?.parse()?)
}

async fn one_job_at_a_time(stack: &mut Stack) -> Result {
    let Stack::Embedded(server) = stack else {
        return Ok(());
    };
    server.environment.push(("DISPATCHER_MAX_JOBS", "1".to_owned()));
    server.stop().await?;
    server.restart().await
}

async fn upload_three(stack: &Stack, user: &Client) -> Result<Vec<Accepted>> {
    let clips = (0..3).map(|n| clips::clip(stack.folder(), 300 + 150 * n, 2.0));
    let uploads = clips.map(|clip| Ok((user.clone(), clip?))).collect::<Result<_>>()?;
    let accepted = upload_all(uploads).await?;
    for upload in &accepted {
        user.mp3(&upload.id).await?;
    }
    Ok(accepted)
}

/// The command line as this user.
fn cli(stack: &Stack, user: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("audio-converter"));
    command.args(arguments).arg("--json").env("AUDIO_CONVERTER_SERVER", stack.url());
    command.env("AUDIO_CONVERTER_USER", user);
    command.env("AUDIO_CONVERTER_PASSWORD", format!("{user}'s long password"));
    command
}

/// What an administrator's command prints.
fn of_root(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    let printed = output_of(&mut cli(stack, "root", arguments), None)?;
    serde_json::from_str(&printed).with_context(|| printed)
}

/// A user's conversions with the preset `v0`; there must be so many.
async fn news(user: &Client, count: usize) -> Result<Vec<Value>> {
    let list: Value = user.get("/v1/conversions").await?.json().await?;
    let items = list["items"].as_array().context("a list")?.iter();
    let news: Vec<_> = items.filter(|item| item["preset"] == "v0").cloned().collect();
    ensure!(news.len() == count, "{list}");
    Ok(news)
}

/// Each old video has one new MP3 with its sound, and the old one has gone.
async fn each_has_its_own(
    stack: &Stack,
    user: &Client,
    olds: &[Accepted],
    news: &[Value],
) -> Result {
    for old in olds {
        let record = user.conversion(&old.id).await?;
        let mut of_video = news.iter().filter(|new| new["video"] == record["video"]);
        let new = of_video.next().context("a new conversion")?["id"].as_str().context("an id")?;
        ensure!(of_video.next().is_none(), "a video was converted twice");
        clips::check(&user.mp3(new).await?, &old.clip, stack.folder())?;
        let path = format!("/v1/conversions/{}/mp3", old.id);
        wait::until_true("the old MP3 to expire", LONG, async || {
            Ok(user.get(&path).await?.status() == StatusCode::GONE)
        })
        .await?;
    }
    Ok(())
}
