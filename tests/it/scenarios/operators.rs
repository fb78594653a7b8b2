//! What operators see, with kubectl and at the admin port.

use crate::{
    Result,
    client::{LONG, in_two_halves},
    clips,
    judge::{Accepted, one_mp3_each},
    leftovers::chunks,
    process::{output_of, with_environment},
    stack::{Stack, cluster::Cluster, free_port},
    wait,
};
use anyhow::{Context, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use std::{collections::BTreeSet, process::Command, time::Duration};

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
    wait::until_true("the attempt to be at work", LONG, async || {
        Ok(user.conversion(&id).await?["progress"].is_number())
    })
    .await?;
    kill_its_converter(&id).await?;
    {
        let Stack::Cluster(cluster) = &*stack else {
            return Ok(());
        };
        said_by_events(cluster, "ConversionFailed", "ada's my silent film.mp4 (preset v2)").await?;
        said_by_events(cluster, "ConversionFailed", "no_audio_track").await?;
        said_by_events(cluster, "AttemptFailed", "exit code 137").await?;
        let next = format!("convert-{id}-2");
        let jobs = wait::until("the next attempt's Job", LONG, async || {
            let jobs = cluster.kubectl(&["get", "jobs", "-L", COLUMNS], None)?;
            Ok(jobs.contains(&next).then_some(jobs))
        });
        let jobs = jobs.await?;
        let row =
            |words: &[&str]| jobs.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(row(&["ada", "v2", "my-silent-film.mp4", "Failed"]), "{jobs}");
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

pub(super) async fn services_end_what_they_have_in_hand(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let long = clips::clip(stack.folder(), 440, 900.0)?;
    let at_work = user.upload(&long).await?;
    user.at_work(&at_work).await?;
    let clip = clips::clip(stack.folder(), 700, 600.0)?;
    let (body, send_rest) = in_two_halves(&std::fs::read(&clip.path)?);
    let upload = user.post_video("film.mp4", body, "one-key");
    let Stack::Cluster(cluster) = stack else {
        return Ok(());
    };
    let before = chunks(cluster, "videos").await?;
    let told = async {
        let begun = async || Ok(chunks(cluster, "videos").await? > before);
        wait::until_true("a part of it to be stored", LONG, begun).await?;
        for service in cluster.services() {
            service.terminate()?;
        }
        let late = format!("{}/healthz", user.url);
        let closed = async || Ok(reqwest::get(&late).await.is_err());
        wait::until_true("the gateway to take nobody else", LONG, closed).await?;
        anyhow::Ok(send_rest())
    };
    let (answer, told) = tokio::join!(upload, told);
    ensure!(told?, "the upload was broken off");
    let answer = answer?;
    ensure!(answer.status() == StatusCode::ACCEPTED, "{}", answer.status());
    let record: Value = answer.json().await?;
    for service in cluster.services() {
        let code =
            wait::until("a service to end", Duration::from_secs(30), async || service.exit_code());
        let code = code.await?;
        ensure!(code == 0, "a service ended with {code}");
    }
    cluster.revive()?;
    let id = record["id"].as_str().context("an id")?.to_owned();
    let both = [(at_work, long), (id, clip)];
    let both = both.map(|(id, clip)| Accepted { client: user.clone(), id, clip });
    let answers = async || Ok(user.get("/healthz").await?.status().is_success());
    wait::until_true("the gateway to be back", LONG, answers).await?;
    for upload in &both {
        ensure!(user.finished(&upload.id).await?["attempt"] == 1, "a Job did not go on");
    }
    one_mp3_each(stack, &both).await
}

/// Metrics that only a cluster has, or that only what is out of order brings about.
const ELSEWHERE: &[&str] = &[
    "audio_converter_k8s_request_seconds",
    "audio_converter_dead_letters_total",
    "audio_converter_attempts_taken_back_total",
];

pub(super) async fn a_scrape_has_the_metrics_of_the_page_and_no_others(
    stack: &mut Stack,
) -> Result {
    let Stack::Embedded(server) = &mut *stack else {
        return Ok(());
    };
    let admin = format!("127.0.0.1:{}", free_port()?);
    server.environment.push(("ADMIN_LISTEN", admin.clone()));
    server.stop().await?;
    server.restart().await?;
    let ask = async |path: &str| -> Result<_> {
        let answer = reqwest::get(format!("http://{admin}{path}")).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    for path in ["/healthz", "/readyz"] {
        ensure!(ask(path).await? == (200, "ok\n".to_owned()), "{path}");
    }
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 1.0)?;
    user.mp3(&user.upload(&clip).await?).await?;
    let code = user.failure_of("notes.mp4", b"only words\n".to_vec()).await?;
    let failed =
        format!("audio_converter_conversions_total{{outcome=\"failed\",reason=\"{code}\"}} 1");
    let scrape = wait::until("both ends to be counted", LONG, async || {
        let (_, text) = ask("/metrics").await?;
        let succeeded =
            "audio_converter_conversions_total{outcome=\"succeeded\",reason=\"none\"} 1";
        Ok((text.contains(&failed) && text.contains(succeeded)).then_some(text))
    });
    let scrape = scrape.await?;
    for shown in [
        "audio_converter_waiting_conversions 0",
        "audio_converter_uploads_in_flight 0",
        "audio_converter_dispatch_seconds_count 2",
        "route=\"/v1/conversions/{id}/mp3\",status=\"2xx\"",
    ] {
        ensure!(scrape.contains(shown), "{shown} is not in\n{scrape}");
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md"))?;
    let of_page: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `audio_")).collect();
    let of_page = of_page.into_iter().filter_map(|line| line.split('`').next());
    let of_page: BTreeSet<_> = of_page.map(|name| format!("audio_{name}")).collect();
    let of_scrape = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let of_scrape = of_scrape.filter_map(|line| line.split(' ').next().map(str::to_owned));
    let of_scrape: BTreeSet<_> =
        of_scrape.chain(ELSEWHERE.iter().map(|name| (*name).to_owned())).collect();
    ensure!(of_page == of_scrape, "the page has {of_page:#?}, the system {of_scrape:#?}");
    Ok(())
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
