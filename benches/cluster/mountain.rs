//! A hundred thousand waiting conversions of five hundred users and as many finished ones: what a free slot waits for its
//! next Job, what the dispatcher holds in memory and what it asks of the API server, and how long the
//! gateway takes for the first page of their list, against the same with a hundred.

use super::{
    backlog::MEMORY,
    bare::Watch,
    place::{Place, kubectl},
    stored,
};
use crate::{
    Result,
    report::{Row, median},
};
use anyhow::Context;
use domain::{Change, Conversion, ConversionId, Mp3};
use mongodb::bson::{Document, doc};
use queue::{ControlMessage, Message};
use std::{path::Path, time::Instant};
use storage::Work;

const MANY: usize = 100_000;
const FEW: usize = 100;
const ROUNDS: usize = 25;
const SLOTS: usize = 5;

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = stored::clip(place.folder.path(), 1)?;
    let video = stored::video(&place.storage, &clip).await?;
    let (gateway, token) = place.gateway().await?;
    let url = format!("http://{gateway}/v1/conversions?limit=100");
    stored::queued(&place.storage, &video, FEW).await?;
    let mut watch = place.bare.watch().await?;
    place.dispatcher(SLOTS, &[MEMORY])?;
    watch.all_created(SLOTS).await?;
    let (few, few_lists) = rounds(place, &mut watch).await?;
    let page = list(&url, &token).await?;
    pile_up(place, &clip).await?;
    let (many, many_lists) = rounds(place, &mut watch).await?;
    let many_page = list(&url, &token).await?;
    let memory = place.memory_mb("dispatcher", "VmHWM:")?;
    let first_pass = restart(place, &mut watch).await?;
    let memory = memory.max(place.memory_mb("dispatcher", "VmHWM:")?);
    eprintln!("list calls while slots were refilled: {many_lists}, with few records {few_lists}");
    Ok(vec![
        Row::of_pairs("free slot to its Job: 200,000 records, 100", &[(many, few)], 1.25, "ms"),
        Row::of_pairs("a page of the list: 200,000 records, 100", &[(many_page, page)], 1.25, "ms"),
        Row::of_limit("200,000 records: the dispatcher's peak", memory, 64.0, "MB"),
        Row::of_limit("200,000 records: list calls", many_lists, few_lists, ""),
        Row::of_limit("200,000 records: start, first pass and its Job", first_pass, 2.0, "s"),
    ])
}

/// The median time that a slot waits, in ms, and the list calls meanwhile.
async fn rounds(place: &Place, watch: &mut Watch) -> Result<(f64, f64)> {
    let before = list_calls()?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let id = cancel_one(place).await?;
        let start = Instant::now();
        place
            .queue
            .publish(&Message::Control(ControlMessage { conversion: Some(id), trace: None }))
            .await?;
        times.push((watch.created(None).await?.at - start).as_secs_f64() * 1000.0);
    }
    Ok((median(times), list_calls()? - before))
}

/// Kills the dispatcher, frees a slot, and starts it: seconds to the Job in that slot.
async fn restart(place: &mut Place, watch: &mut Watch) -> Result<f64> {
    place.kill("dispatcher");
    cancel_one(place).await?;
    let start = Instant::now();
    place.dispatcher(SLOTS, &[MEMORY])?;
    Ok((watch.created(None).await?.at - start).as_secs_f64())
}

async fn cancel_one(place: &Place) -> Result<ConversionId> {
    let running = place.storage.work(Work::Running, 1).await?;
    let id = running.first().context("nothing runs")?.id;
    place.storage.change(id, &Change::Cancel).await?;
    Ok(id)
}

/// Lists of Jobs and pods in one namespace that the API server has answered.
fn list_calls() -> Result<f64> {
    let metrics = kubectl(&["get", "--raw", "/metrics"])?;
    let ours = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && line.contains(r#"verb="LIST""#)
            && line.contains(r#"scope="namespace""#)
            && [r#"resource="jobs""#, r#"resource="pods""#].iter().any(|it| line.contains(it))
    });
    let counts = ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(counts.sum())
}

/// The median time of a page of a user's list, in ms.
async fn list(url: &str, token: &str) -> Result<f64> {
    let (client, mut times) = (reqwest::Client::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let answer = client.get(url).bearer_auth(token).send().await?.error_for_status()?;
        answer.bytes().await?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(times))
}

/// The samples are made where no dispatcher looks.
async fn pile_up(place: &Place, clip: &Path) -> Result {
    let video = stored::video(&place.bare_storage, clip).await?;
    let waiting = stored::queued(&place.bare_storage, &video, 2).await?;
    copy(place, &waiting[0], MANY).await?;
    let done = &waiting[1];
    let change = async |change| place.bare_storage.change(done.id, &change).await;
    change(Change::Dispatch { attempt: 1 }).await?;
    change(Change::Claim { attempt: 1 }).await?;
    let mp3 = Mp3 {
        id: done.id.mp3(1),
        length: 1,
        sha256: video.sha256,
        duration_ms: 1000,
        loudness: None,
    };
    change(Change::Succeed { claim: 1, mp3 }).await?;
    change(Change::Published).await?;
    copy(place, done, MANY).await
}

/// Copies of a record under new ids, past storage's own code, which writes them one by one. Every other
/// one belongs to one of many users, and the rest to one.
async fn copy(place: &Place, record: &Conversion, count: usize) -> Result {
    let conversions = async |url: String| {
        let client = mongodb::Client::with_uri_str(url).await?;
        let database = client.default_database().context("a database")?;
        anyhow::Ok(database.collection::<Document>("conversions"))
    };
    let samples = conversions(place.bare_storage_url()?).await?;
    let records = conversions(place.storage_url()?).await?;
    let row = samples.find_one(doc! { "_id": record.id.to_string() }).await?.context("a record")?;
    for _ in 0..count / 1000 {
        let copies = (0..1000).map(|n| {
            let (id, mut copy) = (ConversionId::generate().to_string(), row.clone());
            copy.insert("_id", id.clone());
            let owner = (n % 2 == 0).then(|| format!("user{n}"));
            if let Some(owner) = &owner {
                copy.insert("owner", owner);
            }
            if let Ok(body) = copy.get_document_mut("body") {
                body.insert("id", id);
                body.extend(owner.map(|owner| ("owner".to_owned(), owner.into())));
            }
            copy
        });
        records.insert_many(copies).ordered(false).await?;
    }
    Ok(())
}
