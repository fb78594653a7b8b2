//! What lies in the cluster's database at the end, looked at without the system's own code: the
//! accepted videos and their MP3s, each whole, and nothing else; and no Job that is still at work.

use crate::{Result, judge::Accepted, stack::cluster::Cluster, wait};
use anyhow::{Context, ensure};
use futures::TryStreamExt;
use mongodb::{
    Database,
    bson::{Document, doc},
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, time::Duration};

/// The sweeper comes every 30 s, and a Job whose end nobody has seen is deleted after 60.
const SWEPT: Duration = Duration::from_secs(120);

/// Files by id, with their SHA-256.
type Files = BTreeMap<String, String>;

/// Lets the sweeper see every marker as old, and waits until only what was accepted is left.
pub(crate) async fn only_what_was_accepted(cluster: &Cluster, accepted: &[Accepted]) -> Result {
    let database = database(cluster).await?;
    let (videos, mp3s) = expected(accepted).await?;
    wait::until_true("what nobody needs to go", SWEPT, async || {
        age_markers(&database).await?;
        let markers = database.collection::<Document>("pending").count_documents(doc! {}).await?;
        ensure!(markers == 0, "{markers} markers are left");
        ensure!(files(&database, "videos").await? == videos, "other videos than were accepted");
        ensure!(files(&database, "mp3s").await? == mp3s, "other MP3s than the records name");
        let active = "jsonpath={.items[*].status.active}";
        let active = cluster.kubectl(&["get", "jobs", "-o", active], None)?;
        ensure!(active.trim().is_empty(), "Jobs are at work for nobody: {active}");
        Ok(true)
    })
    .await
}

/// How many attempts of all conversions were counted as failed.
pub(crate) async fn failures(cluster: &Cluster) -> Result<i64> {
    let records = database(cluster).await?.collection::<Document>("conversions");
    let all: Vec<Document> = records.find(doc! {}).await?.try_collect().await?;
    let failures = all.iter().map(|row| {
        let body = row.get_document("body")?;
        body.get_i64("failures").or_else(|_| body.get_i32("failures").map(i64::from))
    });
    Ok(failures.sum::<std::result::Result<i64, _>>()?)
}

/// How many chunks of files there are, finished or not.
pub(crate) async fn chunks(cluster: &Cluster, bucket: &str) -> Result<u64> {
    let chunks = database(cluster).await?.collection::<Document>(&format!("{bucket}.chunks"));
    Ok(chunks.count_documents(doc! {}).await?)
}

/// How many chunks of one MP3 there are.
pub(crate) async fn chunks_of(cluster: &Cluster, mp3: &str) -> Result<u64> {
    let chunks = database(cluster).await?.collection::<Document>("mp3s.chunks");
    Ok(chunks.count_documents(doc! { "files_id": mp3 }).await?)
}

/// The MP3 that the holder of this claim is writing, once a part of it is stored.
pub(crate) async fn mp3_of_claim(cluster: &Cluster, claim: i64) -> Result<Option<String>> {
    let markers = database(cluster).await?.collection::<Document>("pending");
    let marker = markers.find_one(doc! { "body.kind.mp3.claim": claim }).await?;
    let Some(marker) = marker else { return Ok(None) };
    let mp3 = marker.get_str("_id")?;
    Ok((chunks_of(cluster, mp3).await? > 0).then(|| mp3.to_owned()))
}

async fn database(cluster: &Cluster) -> Result<Database> {
    let client = mongodb::Client::with_uri_str(cluster.storage_url()).await?;
    client.default_database().context("a database")
}

/// The videos as they lie on the test's disk, and the MP3s as the records name them.
async fn expected(accepted: &[Accepted]) -> Result<(Files, Files)> {
    let (mut videos, mut mp3s) = (Files::new(), Files::new());
    for upload in accepted {
        let record = upload.client.conversion(&upload.id).await?;
        let text = |field: &serde_json::Value| field.as_str().map(str::to_owned);
        let video = text(&record["video"]).context("a video")?;
        videos.insert(video, hex(Sha256::digest(std::fs::read(&upload.clip.path)?)));
        if let Some((id, sha256)) = text(&record["mp3"]["id"]).zip(text(&record["mp3"]["sha256"])) {
            mp3s.insert(id, sha256);
        }
    }
    Ok((videos, mp3s))
}

/// A day and more, after which no writer can be left.
async fn age_markers(database: &Database) -> Result {
    let old = doc! { "$set": { "touched_at": 0_i64, "body.touched_at": "1970-01-01T00:00:00Z" } };
    database.collection::<Document>("pending").update_many(doc! {}, old).await?;
    Ok(())
}

/// Every file of which there is a document or a chunk, read chunk by chunk.
async fn files(database: &Database, bucket: &str) -> Result<Files> {
    let chunks = database.collection::<Document>(&format!("{bucket}.chunks"));
    let documents = database.collection::<Document>(&format!("{bucket}.files"));
    let mut found = Files::new();
    let mut lengths = BTreeMap::<String, i64>::new();
    for document in documents.find(doc! {}).await?.try_collect::<Vec<_>>().await? {
        lengths.insert(document.get_str("_id")?.to_owned(), document.get_i64("length")?);
    }
    for id in chunks.distinct("files_id", doc! {}).await? {
        let id = id.as_str().context("an id")?.to_owned();
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut parts = chunks.find(doc! { "files_id": &id }).sort(doc! { "n": 1 }).await?;
        while let Some(part) = parts.try_next().await? {
            let bytes = part.get_binary_generic("data")?;
            hash.update(bytes);
            length += bytes.len() as i64;
        }
        let documented = lengths.remove(&id);
        ensure!(documented == Some(length), "{bucket}: {id} has {length} of {documented:?} bytes");
        found.insert(id, hex(hash.finalize()));
    }
    ensure!(lengths.is_empty(), "{bucket}: files without bytes: {lengths:?}");
    Ok(found)
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
