//! Clients of the system that this one replaces.

use crate::{Result, clips, stack::Stack};
use anyhow::{Context, ensure};
use reqwest::Method;

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
