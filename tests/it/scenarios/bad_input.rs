//! Files that cannot be converted and requests that may not be made: each has its own answer.

use crate::{Result, clips, stack::Stack};
use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;

pub(super) async fn each_bad_file_has_its_reason(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let silent = std::fs::read(clips::silent_film(stack.folder())?)?;
    let neighbour = clips::clip(stack.folder(), 440, 1.0)?.path.display().to_string();
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nfile://{neighbour}\n#EXT-X-ENDLIST\n"
    );
    let concat = format!("ffconcat version 1.0\nfile '{neighbour}'\n");
    let cases = [
        ("empty.mp4", Vec::new(), "empty_file"),
        ("notes.mp4", b"These are only words.\n".repeat(200), "not_media"),
        ("silent.mp4", silent, "no_audio_track"),
        ("playlist.mp4", playlist.into_bytes(), "unsupported_format"),
        ("list.mp4", concat.into_bytes(), "unsupported_format"),
    ];
    for (name, bytes, expected) in cases {
        let code = user.failure_of(name, bytes).await?;
        ensure!(code == expected, "{name}: {code} instead of {expected}");
    }
    ensure!(stack.stored_mp3s().await? == 0, "a failure left a file behind");
    Ok(())
}

pub(super) async fn strangers_see_nothing(stack: &mut Stack) -> Result {
    let (ada, eve) = (stack.user("ada").await?, stack.user("eve").await?);
    let clip = clips::clip(stack.folder(), 440, 1.0)?;
    let id = ada.upload(&clip).await?;
    let record = ada.finished(&id).await?;
    let (video, mp3) = (record["video"].as_str(), record["mp3"]["id"].as_str());
    let paths = [
        format!("/v1/conversions/{id}"),
        format!("/v1/conversions/{id}/mp3"),
        format!("/v1/videos/{}", video.unwrap_or_default()),
        format!("/download?fid={}", mp3.unwrap_or_default()),
    ];
    for path in &paths {
        ensure!(ada.get(path).await?.status() == 200, "{path} is hers");
        ensure!(eve.get(path).await?.status() == 404, "{path} is somebody else's");
        for token in ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."] {
            ensure!(
                ada.with_token(token).get(path).await?.status() == 401,
                "{path} with token {token:?}"
            );
        }
    }
    let cancel = eve.request(Method::POST, &format!("/v1/conversions/{id}/cancel")).send().await?;
    ensure!(cancel.status() == 404, "{}", cancel.status());
    let list: Value = eve.get("/v1/conversions").await?.json().await?;
    ensure!(list["items"].as_array().is_some_and(Vec::is_empty), "{list}");
    if let Stack::Cluster(_) = stack {
        let large = ada.post_video("large.mp4", vec![0; (1 << 20) + 1], "large").await?;
        ensure!(large.status() == 413, "{}", large.status());
        ensure!(large.json::<Value>().await?["code"] == "body_too_large");
    }
    Ok(())
}
