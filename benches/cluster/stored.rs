//! Videos and conversions to measure with, put into storage without the gateway.

use super::place::{Place, output};
use crate::Result;
use anyhow::{Context, ensure};
use domain::{
    Change, Conversion, ConversionId, NewConversion, Options, PendingKind, Role, State, Video,
    VideoId,
};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use queue::{Message, VideoMessage};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use storage::Storage;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(300);

/// A video with a tone.
pub(crate) fn clip(folder: &Path, seconds: u32) -> Result<PathBuf> {
    let path = folder.join(format!("{seconds} s.mp4"));
    let picture = format!("testsrc=duration={seconds}:size=64x48:rate=5");
    let tone = format!("sine=frequency=440:duration={seconds}");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &picture]);
    ffmpeg.args(["-f", "lavfi", "-i", &tone, "-c:v", "mpeg4", "-c:a", "aac"]).arg(&path);
    output(&mut ffmpeg)?;
    Ok(path)
}

/// Stores a video. The conversion that comes with it is called off.
pub(crate) async fn video(storage: &Storage, file: &Path) -> Result<Video> {
    let id = VideoId::generate();
    let mut writer = storage.create(PendingKind::Video { video: id }).await?;
    writer.append(fs::read(file)?.into()).await?;
    let blob = writer.finish().await?;
    let video = Video {
        id,
        owner: "admin".parse()?,
        name: "film.mp4".to_owned().into(),
        length: blob.length,
        sha256: blob.sha256,
        created_at: Timestamp::now(),
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    };
    let first = conversion(&video);
    storage.accept(&video, &first).await?;
    storage.change(first.id, &Change::Cancel).await?;
    Ok(video)
}

/// A conversion that nobody has to announce.
fn conversion(video: &Video) -> Conversion {
    let new = NewConversion {
        video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    let mut record = Conversion::new(ConversionId::generate(), new, Timestamp::now());
    record.announced = true;
    record
}

/// Adds conversions that wait.
pub(crate) async fn queued(
    storage: &Storage,
    video: &Video,
    count: usize,
) -> Result<Vec<Conversion>> {
    let one = async |_| {
        let record = conversion(video);
        storage.add(&record).await?;
        Ok(record)
    };
    stream::iter(0..count).map(one).buffered(16).try_collect().await
}

/// Adds a conversion whose first attempt has been dispatched; its Job is the caller's business.
pub(crate) async fn running(
    storage: &Storage,
    video: &Video,
    count: usize,
) -> Result<Vec<Conversion>> {
    let records = queued(storage, video, count).await?;
    for record in &records {
        storage.change(record.id, &Change::Dispatch { attempt: 1 }).await?;
    }
    Ok(records)
}

/// Publishes the conversion's `video` message.
pub(crate) async fn publish(place: &Place, record: &Conversion) -> Result {
    let message = VideoMessage {
        conversion: Some(record.id),
        video_fid: record.video.to_string(),
        username: Some(record.owner.to_string()),
        trace: None,
    };
    Ok(place.queue.publish(&Message::Video(message)).await?)
}

/// When the record is seen to be as wanted; looks every few milliseconds, for both sides alike.
pub(crate) async fn until(
    storage: &Storage,
    id: ConversionId,
    wanted: impl Fn(&Conversion) -> bool,
) -> Result<Instant> {
    let seen = async {
        loop {
            let record = storage.conversion(id).await?;
            if wanted(&record) {
                return Ok(Instant::now());
            }
            let ended = record.state.is_terminal() && record.state != State::Succeeded;
            ensure!(!ended, "the conversion ended: {record:?}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(PATIENCE, seen).await.with_context(|| format!("{id} does not get there"))?
}

/// When all of them have succeeded.
pub(crate) async fn all_succeeded(storage: &Storage, records: &[Conversion]) -> Result<Instant> {
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let all = async {
        loop {
            let records = storage.conversions_of_ids(&ids).await?;
            let ended = records.iter().filter(|record| record.state.is_terminal()).count();
            if ended == ids.len() {
                let failed = records.iter().find(|record| record.state != State::Succeeded);
                ensure!(failed.is_none(), "a conversion failed: {failed:?}");
                return Ok(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, all).await.context("the conversions do not end")?
}
