//! A clip of 5 seconds from the first byte sent to the last byte of its MP3, against the converter's
//! own run on the same clip.

use crate::{
    Result, program,
    report::{Row, median},
    server::{Server, wait_for},
};
use anyhow::{Context, ensure};
use reqwest::Client;
use serde_json::Value;
use std::{path::Path, process::Command, time::Instant};

const PAIRS: usize = 11;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let clip = folder.path().join("clip.mp4");
    let sound = "sine=frequency=440:duration=5";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=duration=5:size=320x240:rate=25"])
        .args(["-f", "lavfi", "-i", sound, "-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&clip)
        .status()?;
    ensure!(made.success(), "ffmpeg made no clip");
    let server = Server::start()?;
    let (token, client, video) = (server.sign_in()?, Client::new(), std::fs::read(&clip)?);
    let mut differences = Vec::new();
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let alone = converter_alone(&clip, folder.path())?;
        let whole = wait_for(through(&server, &client, &token, video.clone()))?;
        differences.push((whole - alone) * 1000.0);
        pairs.push((whole, alone));
    }
    let around = median(differences);
    Ok(vec![
        Row::of_pairs("5 s clip, upload to MP3: wall", &pairs, f64::INFINITY, "s"),
        Row::of_limit("what comes on top of the converter's run", around, 150.0, "ms"),
    ])
}

fn converter_alone(clip: &Path, folder: &Path) -> Result<f64> {
    let start = Instant::now();
    let run = Command::new(program("converter-job"))
        .arg("local")
        .args([clip, &folder.join("clip.mp3")])
        .output()?;
    ensure!(run.status.success(), "{run:?}");
    Ok(start.elapsed().as_secs_f64())
}

async fn through(server: &Server, client: &Client, token: &str, video: Vec<u8>) -> Result<f64> {
    let start = Instant::now();
    let upload = client.post(server.url("/v1/videos?name=clip.mp4")).bearer_auth(token).body(video);
    let made: Value =
        serde_json::from_slice(&upload.send().await?.error_for_status()?.bytes().await?)?;
    let path = format!("/v1/conversions/{}", made["id"].as_str().context("an id")?);
    let wait = client.get(server.url(&format!("{path}?wait=30"))).bearer_auth(token);
    let ended: Value =
        serde_json::from_slice(&wait.send().await?.error_for_status()?.bytes().await?)?;
    ensure!(ended["state"] == "succeeded", "{ended}");
    let mp3 = client.get(server.url(&format!("{path}/mp3"))).bearer_auth(token);
    let mp3 = mp3.send().await?.error_for_status()?.bytes().await?;
    ensure!(ended["mp3"]["length"] == mp3.len(), "{ended}");
    Ok(start.elapsed().as_secs_f64())
}
