//! What operators see with kubectl and nothing else.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each},
    process::{output_of, with_environment},
    stack::{Stack, cluster::Cluster},
    wait,
};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::process::Command;

/// Columns that a user of `kubectl get jobs` asks for.
const COLUMNS: &str = "audio-converter.dev/owner,audio-converter.dev/preset,\
                       audio-converter.dev/attempt,audio-converter.dev/video-name";

pub(super) async fn kubectl_tells_whose_job_it_is_and_why_it_failed(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let silent = std::fs::read(clips::silent_film(stack.folder())?)?;
    let code = user.failure_of("my silent film.mp4", silent).await?;
    ensure!(code == "no_audio_track", "{code}");
    let clip = clips::clip(stack.folder(), 440, 600.0)?;
    let id = user.upload(&clip).await?;
    kill_its_converter(&id).await?;
    {
        let Stack::Cluster(cluster) = &*stack else {
            return Ok(());
        };
        said_by_events(cluster, "ConversionFailed", "ada's my silent film.mp4 (preset v2)").await?;
        said_by_events(cluster, "ConversionFailed", "no_audio_track").await?;
        said_by_events(cluster, "AttemptFailed", "exit code 137").await?;
        let jobs = cluster.kubectl(&["get", "jobs", "-L", COLUMNS], None)?;
        let row =
            |words: &[&str]| jobs.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(row(&["ada", "v2", "my-silent-film.mp4", "Failed"]), "{jobs}");
        ensure!(row(&[&format!("convert-{id}-2")]), "{jobs}");
        let job = format!("job/convert-{id}-1");
        let described = cluster.kubectl(&["describe", &job], None)?;
        ensure!(described.contains("AttemptFailed"), "{described}");
        ensure!(described.contains("audio-converter.dev/owner: ada"), "{described}");
    }
    let accepted = [Accepted { client: user, id, clip }];
    one_mp3_each(stack, &accepted).await?;
    let Stack::Cluster(cluster) = &*stack else {
        return Ok(());
    };
    the_record_keeps_the_end_of_the_log(cluster, &accepted[0].id).await
}

async fn kill_its_converter(id: &str) -> Result {
    let entry = format!("CONVERSION_ID={id}");
    let process = wait::until("the converter's process", LONG, async || {
        Ok(with_environment(&entry, "attempt").first().copied())
    });
    output_of(Command::new("kill").args(["-9", &process.await?.to_string()]), None).map(drop)
}

async fn said_by_events(cluster: &Cluster, reason: &str, words: &str) -> Result {
    wait::until_true(&format!("an Event {reason} with {words:?}"), LONG, async || {
        let events = cluster.kubectl(&["get", "events", "-o", "json"], None)?;
        let events: Value = serde_json::from_str(&events)?;
        let events = events["items"].as_array().context("Events")?;
        Ok(events.iter().any(|event| {
            let message = event["message"].as_str().unwrap_or_default();
            event["reason"] == reason && message.contains(words)
        }))
    })
    .await
}

/// Also when the Job is gone.
async fn the_record_keeps_the_end_of_the_log(cluster: &Cluster, id: &str) -> Result {
    let client = mongodb::Client::with_uri_str(cluster.storage_url()).await?;
    let database = client.default_database().context("a database")?;
    let records = database.collection::<mongodb::bson::Document>("conversions");
    let found = records.find_one(mongodb::bson::doc! { "_id": id }).await?.context("a record")?;
    let text = found.to_string();
    ensure!(text.contains("the attempt begins"), "{text}");
    Ok(())
}
