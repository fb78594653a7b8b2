//! What must be true at the end of every scenario, whatever happened in it.

use crate::{
    Result,
    client::Client,
    clips::{self, Clip},
    stack::Stack,
    wait,
};
use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// One upload that was answered with 202.
pub(crate) struct Accepted {
    /// By whom.
    pub(crate) client: Client,
    /// The conversion.
    pub(crate) id: String,
    /// Of what.
    pub(crate) clip: Clip,
}

/// Uploads every clip at once.
pub(crate) async fn upload_all(uploads: Vec<(Client, Clip)>) -> Result<Vec<Accepted>> {
    let count = uploads.len().max(1);
    stream::iter(uploads)
        .map(|(client, clip)| async move {
            let id = client.upload(&clip).await?;
            Ok(Accepted { client, id, clip })
        })
        .buffer_unordered(count)
        .try_collect()
        .await
}

/// Every accepted upload has one MP3, which is its own; one event id; no other file is left.
pub(crate) async fn one_mp3_each(stack: &mut Stack, accepted: &[Accepted]) -> Result {
    for upload in accepted {
        let mp3 = upload.client.mp3(&upload.id).await?;
        clips::check(&mp3, &upload.clip, stack.folder())?;
        told(upload, mp3.len()).await?;
    }
    let limit = Duration::from_secs(45);
    let what = format!("exactly {} stored MP3s", accepted.len());
    wait::until_true(&what, limit, async || Ok(stack.stored_mp3s().await? == accepted.len()))
        .await?;
    one_event_each(stack, accepted).await
}

/// The report is of this MP3, and the waveform lasts as long as the clip.
async fn told(upload: &Accepted, length: usize) -> Result {
    let path = |kind| format!("/v1/conversions/{}/{kind}", upload.id);
    let report: Value = upload.client.get(&path("report")).await?.json().await?;
    ensure!(report["mp3"]["length"] == length, "{report}");
    let waveform: Value = upload.client.get(&path("waveform")).await?.json().await?;
    let number = |key: &str| waveform[key].as_f64().unwrap_or_default();
    let seconds = number("length") * number("samples_per_pixel") / number("sample_rate");
    ensure!((seconds - upload.clip.seconds).abs() < 0.2, "{seconds} s of waveform");
    Ok(())
}

async fn one_event_each(stack: &mut Stack, accepted: &[Accepted]) -> Result {
    let mut events: HashMap<String, HashSet<String>> = HashMap::new();
    for event in stack.events(accepted.len()).await? {
        events.entry(event.conversion.to_string()).or_default().insert(event.event.to_string());
    }
    for upload in accepted {
        let ids = events.remove(&upload.id).unwrap_or_default();
        ensure!(ids.len() == 1, "conversion {} has the event ids {ids:?}", upload.id);
    }
    ensure!(events.is_empty(), "events of nothing that was uploaded: {events:?}");
    Ok(())
}
