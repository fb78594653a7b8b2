//! Videos in GridFS: an upload through the gateway against the driver's own, from the same file, and a
//! converter that reads from GridFS against one that reads from the disk.

use super::{
    place::{Place, output},
    stored,
};
use crate::{Result, program, report::Row};
use anyhow::Context;
use futures::{AsyncWriteExt, StreamExt};
use reqwest::Client;
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::Command,
    time::Instant,
};
use tokio_util::io::ReaderStream;

const GIGABYTE: u64 = 1_000_000_000;
const SMALL: u64 = 100_000_000;
const PAIRS: usize = 3;
const READS: usize = 9;
const AT_ONCE: usize = 20;
/// Of one read by either client.
const BLOCK: usize = 256 << 10;

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let (gateway, token) = place.gateway().await?;
    let url = format!("http://{gateway}/v1/videos?name=film.mp4");
    let film = bytes(place.folder.path(), GIGABYTE)?;
    place.forget_peak("gateway")?;
    let before = place.memory_mb("gateway", "VmRSS:")?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((upload(&url, &token, &film).await?, driver(place, &film).await?));
        forget(place).await?;
    }
    let of_one = place.memory_mb("gateway", "VmHWM:")? - before;
    fs::remove_file(&film)?;
    let small = bytes(place.folder.path(), SMALL)?;
    place.forget_peak("gateway")?;
    let all = (0..AT_ONCE).map(|_| upload(&url, &token, &small));
    futures::future::try_join_all(all).await?;
    let of_many = place.memory_mb("gateway", "VmHWM:")? - before;
    forget(place).await?;
    let reads = reads(place).await?;
    Ok(vec![
        Row::of_pairs("GridFS, 1 GB: gateway, driver", &pairs, 1.0 / 0.85, "s"),
        Row::of_limit("GridFS, 1 GB: growth of the gateway's peak", of_one, 32.0, "MB"),
        Row::of_limit("GridFS, 20 at once: growth of its peak", of_many, 128.0, "MB"),
        Row::of_pairs("converter: from GridFS, from the disk", &reads, 1.1, "s"),
    ])
}

/// Bytes that no storage engine can press together.
fn bytes(folder: &Path, length: u64) -> Result<std::path::PathBuf> {
    let path = folder.join(format!("{length}.bin"));
    let mut random = File::open("/dev/urandom")?.take(length);
    let mut file = File::create(&path)?;
    std::io::copy(&mut random, &mut file)?;
    file.flush()?;
    Ok(path)
}

async fn upload(url: &str, token: &str, film: &Path) -> Result<f64> {
    let start = Instant::now();
    let file = tokio::fs::File::open(film).await?;
    let length = file.metadata().await?.len();
    let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, BLOCK));
    let asked = Client::new().post(url).bearer_auth(token).header("content-length", length);
    asked.body(body).send().await?.error_for_status()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The driver's own stream as it comes: less durable than ours, whose records are journaled.
async fn driver(place: &Place, film: &Path) -> Result<f64> {
    let client = mongodb::Client::with_uri_str(place.bare_storage_url()?).await?;
    let bucket = client.default_database().context("a database")?.gridfs_bucket(None);
    let start = Instant::now();
    let file = tokio::fs::File::open(film).await?;
    let mut blocks = ReaderStream::with_capacity(file, BLOCK);
    let mut stream = bucket.open_upload_stream("film.mp4").await?;
    while let Some(block) = blocks.next().await {
        stream.write_all(&block?).await?;
    }
    stream.close().await?;
    Ok(start.elapsed().as_secs_f64())
}

/// Drops the files of both sides: the disk may have room for few of them.
async fn forget(place: &Place) -> Result {
    for (url, bucket) in [(place.storage_url()?, "videos"), (place.bare_storage_url()?, "fs")] {
        let database = mongodb::Client::with_uri_str(url).await?;
        let database = database.default_database().context("a database")?;
        for part in ["files", "chunks"] {
            let name = format!("{bucket}.{part}");
            let all = database.collection::<mongodb::bson::Document>(&name);
            all.delete_many(mongodb::bson::doc! {}).await?;
        }
    }
    Ok(())
}

/// The same program in both roles, as processes of this machine.
async fn reads(place: &Place) -> Result<Vec<(f64, f64)>> {
    let film = film(place.folder.path())?;
    let (mp3, url) = (film.with_extension("mp3"), place.bare_storage_url()?);
    let video = stored::video(&place.bare_storage, &film).await?;
    let mut pairs = Vec::new();
    for _ in 0..READS {
        let record = &stored::running(&place.bare_storage, &video, 1).await?[0];
        let mut attempt = Command::new(program("converter-job"));
        attempt.arg("attempt").env("STORAGE_URL", &url).env("ATTEMPT", "1");
        attempt.env("CONVERSION_ID", record.id.to_string()).env("TERMINATION_LOG", "/dev/null");
        let mut local = Command::new(program("converter-job"));
        local.arg("local").arg(&film).arg(&mp3);
        let mut took = [0.0; 2];
        for (command, took) in [&mut attempt, &mut local].into_iter().zip(&mut took) {
            let start = Instant::now();
            output(command)?;
            *took = start.elapsed().as_secs_f64();
        }
        fs::remove_file(&mp3)?;
        pairs.push((took[0], took[1]));
    }
    Ok(pairs)
}

/// Ten minutes at about 2 Mbit/s, made from one minute.
fn film(folder: &Path) -> Result<std::path::PathBuf> {
    let (minute, film) = (folder.join("minute.mp4"), folder.join("film.mp4"));
    let ffmpeg = || {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error"]);
        ffmpeg
    };
    let picture = "testsrc2=size=640x360:rate=25:duration=60";
    let sound = "anoisesrc=color=pink:amplitude=0.3:d=60:r=48000";
    let mut make = ffmpeg();
    make.args(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]);
    output(make.args(["-c:v", "mpeg4", "-b:v", "2M", "-c:a", "aac", "-b:a", "160k"]).arg(&minute))?;
    let mut repeat = ffmpeg();
    repeat.args(["-stream_loop", "9", "-i"]).arg(&minute);
    output(repeat.args(["-c", "copy"]).arg(&film))?;
    Ok(film)
}
