//! Clients and producers of the system that this one replaces.

use crate::{
    Result,
    client::{Client, LONG},
    clips::{self, Clip},
    process::{output_of, program},
    stack::{Stack, cluster::Cluster},
    wait,
};
use anyhow::{Context, ensure};
use domain::ConversionId;
use lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};
use mongodb::bson::oid::ObjectId;
use queue::Queue;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::HashSet, path::Path, process::Command};

/// What the original's gateway does with an upload.
const PUT: &str = "import sys, gridfs, pymongo
files = gridfs.GridFS(pymongo.MongoClient(sys.argv[1]).videos)
print(files.put(open(sys.argv[2], 'rb')))";

pub(super) async fn its_clients_work_unchanged(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 2.0)?;
    let (boundary, video) =
        ("------------------------d74496d66958873e", std::fs::read(&clip.path)?);
    let mut form = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"film.mp4\"\r\n\
         Content-Type: video/mp4\r\n\r\n"
    )
    .into_bytes();
    form.extend(video);
    form.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    let request = user.request(Method::POST, "/upload").body(form);
    let answer = request
        .header("Content-Type", format!("multipart/form-data; boundary={boundary}"))
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let location = answer.headers().get("Location").context("a location")?.to_str()?.to_owned();
    ensure!(answer.text().await? == "success!");
    let id = location.rsplit('/').next().unwrap_or_default();
    let record = user.finished(id).await?;
    let fid = record["mp3"]["id"].as_str().context("an MP3")?;
    let download = user.get(&format!("/download?fid={fid}")).await?;
    ensure!(download.status() == 200 && download.headers()["Content-Type"] == "audio/mpeg");
    clips::check(&download.bytes().await?, &clip, stack.folder())
}

pub(super) async fn its_producers_work_unchanged(stack: &mut Stack) -> Result {
    let user = stack.user("ada@example.org").await?;
    let clip = clips::clip(stack.folder(), 440, 2.0)?;
    let cluster = stack.cluster()?;
    let fid = put(cluster, &clip)?;
    let unknown = ObjectId::new().to_hex();
    let broker = stack.queue_url();
    ring(&broker, &[&unknown, &fid, &fid, &fid]).await?;
    let id = wait::until("the conversion", LONG, async || {
        let all = conversions(&user).await?;
        Ok(all.first().and_then(|record| record["id"].as_str()).map(str::to_owned))
    });
    let id = id.await?;
    clips::check(&user.mp3(&id).await?, &clip, stack.folder())?;
    only_this_is_given_up(cluster, &broker, &unknown).await?;
    let all = conversions(&user).await?;
    ensure!(all.len() == 1, "{all:?}");
    let events = stack.events(1).await?;
    let ids: HashSet<_> = events.iter().map(|event| event.event).collect();
    ensure!(ids.len() == 1 && events.iter().all(|event| event.video_fid == fid), "{events:?}");
    ensure!(stack.stored_mp3s().await? == 1, "more than one MP3 is stored");
    remove(stack.cluster()?, &fid).await
}

pub(super) async fn its_videos_are_imported(stack: &mut Stack) -> Result {
    let user = stack.user("ada@example.org").await?;
    let clip = clips::clip(stack.folder(), 440, 2.0)?;
    let cluster = stack.cluster()?;
    let fid = put(cluster, &clip)?;
    let import = || {
        let mut import = Command::new(program("audio-converter"));
        import.args(["import", "videos", "--owner", "ada@example.org"]);
        import.env("STORAGE_URL", cluster.storage_url()).env("QUEUE_URL", stack.queue_url());
        output_of(&mut import, None)
    };
    // Twice: the second time finds it there. Videos of other stories may be among them.
    ensure!(import()?.contains("announced") && import()?.contains("announced"));
    let id = ConversionId::of_foreign(&fid).to_string();
    let known = async || Ok(user.get(&format!("/v1/conversions/{id}")).await?.status() == 200);
    wait::until_true("the conversion", LONG, known).await?;
    clips::check(&user.mp3(&id).await?, &clip, stack.folder())?;
    remove(cluster, &fid).await
}

/// Stores a video as the original does; its id.
fn put(cluster: &Cluster, clip: &Clip) -> Result<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checker/python");
    let mut put = Command::new(python);
    put.args(["-c", PUT, &cluster.storage_url()]).arg(&clip.path);
    Ok(output_of(&mut put, None)?.trim().to_owned())
}

/// The database of the original's videos is no stack's own.
async fn remove(cluster: &Cluster, fid: &str) -> Result {
    let server = mongodb::Client::with_uri_str(cluster.storage_url()).await?;
    let files = server.database("videos").gridfs_bucket(None);
    Ok(files.delete(ObjectId::parse_str(fid)?.into()).await?)
}

async fn conversions(user: &Client) -> Result<Vec<Value>> {
    let list: Value = user.get("/v1/conversions").await?.error_for_status()?.json().await?;
    list["items"].as_array().cloned().context("a list")
}

/// Publishes as the original does: the bare body, without any word about itself.
async fn ring(url: &str, fids: &[&str]) -> Result {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for fid in fids {
        let body = json!({ "video_fid": fid, "mp3_fid": null, "username": "ada@example.org" });
        let (body, options) = (body.to_string(), BasicPublishOptions::default());
        let properties = BasicProperties::default().with_delivery_mode(2);
        let video = "video".into();
        channel
            .basic_publish("".into(), video, options, body.as_bytes(), properties)
            .await?
            .await?;
    }
    // The answer comes after all that was sent.
    Ok(connection.close(200, "done".into()).await?)
}

/// Every message is settled, the one about this file after its third look.
async fn only_this_is_given_up(cluster: &Cluster, broker: &str, fid: &str) -> Result {
    wait::until_true("all messages to be settled", LONG, async || {
        let open = cluster.messages("video")? + cluster.messages("video.retry")?;
        Ok(open == 0 && cluster.messages("video.dead")? > 0)
    })
    .await?;
    let letters = Queue::open(broker).await?.dead_letters(10).await?;
    ensure!(letters.len() == 1 && letters[0].body.contains(fid), "{letters:?}");
    ensure!(letters[0].deliveries >= 3 && letters[0].reason.contains("unknown"), "{letters:?}");
    Ok(())
}
