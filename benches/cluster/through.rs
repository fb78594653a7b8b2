//! A clip of 5 seconds from the start of its upload to its `mp3` message, against a bare Job that does
//! nothing, from its POST until it is Complete.

use super::{bare, place::Place, stored};
use crate::{
    Result,
    report::{Row, median},
};
use anyhow::{Context, ensure};
use queue::{Consumer, Item, Message, Topic};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const PAIRS: usize = 15;

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let clip = fs::read(stored::clip(place.folder.path(), 5)?)?;
    let (gateway, token) = place.gateway().await?;
    let mut events = place.queue.consume(Topic::Mp3).await?;
    let mut watch = place.bare.watch().await?;
    place.dispatcher(10, &[])?;
    let url = format!("http://{gateway}/v1/videos?name=clip.mp4");
    let client = Client::new();
    // Brings the spec, and warms everything.
    upload(&client, &url, &token, &clip, &mut events).await?;
    let job = watch.created(None).await?.job;
    let (mut pairs, mut beyond) = (Vec::new(), Vec::new());
    for n in 0..PAIRS {
        let ours = upload(&client, &url, &token, &clip, &mut events).await?;
        let name = format!("bare-{n}");
        let mut no_op = bare::like(&job, &name, &[]);
        no_op["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--version"]);
        let start = Instant::now();
        place.bare.create(&no_op).await?;
        let end = watch.until(|seen| seen.name() == name && seen.is_complete()).await?.at;
        let bare = (end - start).as_secs_f64();
        pairs.push((ours, bare));
        beyond.push(ours - bare);
    }
    Ok(vec![
        Row::of_pairs("5 s clip, upload to mp3 message", &pairs, f64::INFINITY, "s"),
        Row::of_limit("what comes on top of a bare no-op Job", median(beyond), 0.3, "s"),
    ])
}

/// Seconds to the message.
async fn upload(
    client: &Client,
    url: &str,
    token: &str,
    clip: &[u8],
    events: &mut Consumer,
) -> Result<f64> {
    let start = Instant::now();
    let answer = client.post(url).bearer_auth(token).body(clip.to_vec()).send().await?;
    let made: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    loop {
        let item = timeout(Duration::from_secs(60), events.next()).await.context("no message")?;
        let Item::Delivery(delivery) = item else { continue };
        let took = start.elapsed().as_secs_f64();
        let Ok(Message::Mp3(event)) = delivery.message() else { continue };
        let (id, ours) = (event.conversion.to_string(), made["id"].as_str().unwrap_or_default());
        ensure!(id == ours, "a message of {id}, not of {ours}");
        delivery.ack().await?;
        return Ok(took);
    }
}
