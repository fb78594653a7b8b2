//! Videos come in, however they are sent, and leave nothing behind when they do not.

use crate::{
    http::{Answer, FORM, begun, part, rest},
    stack::{Stack, until},
};
use domain::{Preset, State};
use queue::{Item, Message, Topic};
use reqwest::{Body, Method};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_raw_body_becomes_a_video_and_a_conversion() {
    let stack = Stack::start().await;
    let path = "/v1/videos?name=..%2Ff%C3%BCr.mp4&preset=v0";
    let answer = stack.post("ada", path, "the video").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/v1/conversions/{}", answer.id()));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let shown = answer.json();
    assert_eq!(
        (&shown["state"], &shown["name"], &shown["preset"]),
        (&"queued".into(), &"für.mp4".into(), &"v0".into())
    );
    let conversion = stack.conversion_of(&answer).await;
    assert!(conversion.announced && conversion.state == State::Queued);
    assert_eq!((conversion.owner.as_str(), conversion.options.preset), ("ada", Preset::V0));
    assert_eq!(stack.stored(conversion.video).await, b"the video");
    let video = stack.get("ada", &format!("/v1/videos/{}", conversion.video)).await.json();
    assert_eq!((&video["length"], &video["name"]), (&9.into(), &"für.mp4".into()));
    assert_eq!(video["sha256"], "34c451f5af29e42cb1e08c550269a7b4d9f6b6e763e7a290cd2847829bbc1a7b");
    assert_eq!(stack.pending().await, 0);
}

#[tokio::test]
async fn a_message_rings_for_every_upload() {
    let stack = Stack::start().await;
    let conversion = stack.upload("ada", "x").await;
    let mut consumer = stack.queue.consume(Topic::Video).await.unwrap();
    let delivery = loop {
        if let Item::Delivery(delivery) = consumer.next().await {
            break delivery;
        }
    };
    let Ok(Message::Video(video)) = delivery.message() else {
        panic!("not a video's message");
    };
    assert_eq!(video.conversion, Some(conversion.id));
    assert_eq!(video.video_fid, conversion.video.to_string());
    assert_eq!(video.username.as_deref(), Some("ada"));
}

#[tokio::test]
async fn an_upload_succeeds_without_a_broker() {
    let broker = crate::auth::nowhere().await;
    let stack = Stack::with(|_| {}, Some(&format!("amqp://guest:guest@{broker}/%2f"))).await;
    let conversion = stack.upload("ada", "x").await;
    assert!(!conversion.announced);
}

#[tokio::test]
async fn a_form_becomes_a_video() {
    let stack = Stack::start().await;
    let form = part("name=\"note\"", "x")
        + &part("name=\"file\"; filename=\"фильм.mp4\"", "the\r\nvideo")
        + "--b--\r\n";
    let request =
        stack.ask("ada", Method::POST, "/v1/videos").header("content-type", FORM).body(form);
    let conversion = stack.conversion_of(&Answer::of(request).await).await;
    assert_eq!(conversion.name.as_str(), "фильм.mp4");
    assert_eq!(stack.stored(conversion.video).await, b"the\r\nvideo");
}

#[tokio::test]
async fn a_client_of_the_original_system_is_understood() {
    let stack = Stack::start().await;
    let form = part("name=\"file\"; filename=\"film.mp4\"", "the video") + "--b--\r\n";
    let request = stack.ask("ada", Method::POST, "/upload").header("content-type", FORM).body(form);
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, answer.text()), (200, "success!"));
    let conversion = stack.conversion_of(&answer).await;
    assert_eq!(stack.stored(conversion.video).await, b"the video");
    stack.post("ada", "/upload", "raw").await.is_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn names_come_from_the_head_too() {
    let stack = Stack::start().await;
    let request = stack.ask("ada", Method::POST, "/v1/videos").body("x");
    let named = request.header("content-disposition", "attachment; filename*=UTF-8''%D1%84.mp4");
    assert_eq!(Answer::of(named).await.json()["name"], "ф.mp4");
    assert_eq!(stack.post("ada", "/v1/videos", "x").await.json()["name"], "video");
}

#[tokio::test]
async fn an_empty_video_is_accepted() {
    let stack = Stack::start().await;
    let conversion = stack.upload("ada", "").await;
    assert_eq!(stack.storage.video(conversion.video).await.unwrap().length, 0);
}

#[tokio::test]
async fn an_unknown_preset_is_told_the_known_ones() {
    let stack = Stack::start().await;
    let answer = stack.post("ada", "/v1/videos?preset=best", "x").await;
    answer.is_problem(400, "bad_request");
    assert!(answer.text().contains("v0, v2, v4, 320, 256, 192, 128, speech, copy"), "{answer:?}");
    stack.post("ada", "/v1/videos?preset=v0&preset=v2", "x").await.is_problem(400, "bad_request");
    assert!(stack.files("videos").is_empty());
}

#[tokio::test]
async fn a_form_without_a_whole_file_leaves_nothing() {
    let stack = Stack::start().await;
    let file = part("name=\"file\"", "the video");
    for form in [
        part("name=\"note\"", "x") + "--b--",
        file.clone(),
        file.clone() + &file + "--b--",
        "x".into(),
    ] {
        let request =
            stack.ask("ada", Method::POST, "/upload").header("content-type", FORM).body(form);
        Answer::of(request).await.is_problem(400, "bad_request");
        stack.settles_at(0).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let stack = Stack::start().await;
    let token = stack.signer.token("ada");
    for framing in
        ["content-length: 1000000\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let head = format!(
            "POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{framing}"
        );
        let mut stream = begun(stack.address, &head).await;
        until("the upload has begun", async || stack.files("videos").len() == 1).await;
        stream.write_all(b"de").await.unwrap();
        drop(stream);
        stack.settles_at(0).await;
    }
    assert!(stack.get("ada", "/v1/videos").await.json()["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_in_tiny_pieces_is_the_same_body() {
    let stack = Stack::start().await;
    let pieces = (0..50_000_u32).map(|n| Ok::<_, std::io::Error>(vec![(n % 251) as u8]));
    let body = Body::wrap_stream(futures::stream::iter(pieces));
    let conversion = stack.conversion_of(&stack.post("ada", "/v1/videos", body).await).await;
    let expected: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(stack.stored(conversion.video).await, expected);
}

#[tokio::test]
async fn an_upload_in_hand_survives_the_shutdown() {
    let stack = Stack::start().await;
    let token = stack.signer.token("ada");
    let head = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 6\r\n\r\nabc"
    );
    let mut stream = begun(stack.address, &head).await;
    until("the upload has begun", async || stack.files("videos").len() == 1).await;
    stack.shutdown.cancel();
    stream.write_all(b"def").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 202"));
    drop(stream);
    until("the gateway has stopped", async || stack.server.is_finished()).await;
    assert_eq!((stack.pending().await, stack.files("videos").len()), (0, 1));
}

#[tokio::test]
async fn an_upload_that_does_not_end_is_broken_off_and_leaves_nothing() {
    let stack = Stack::with(|http| http.drain = Duration::from_millis(300), None).await;
    let token = stack.signer.token("ada");
    let head = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 6\r\n\r\nabc"
    );
    let stream = begun(stack.address, &head).await;
    until("the upload has begun", async || stack.files("videos").len() == 1).await;
    stack.shutdown.cancel();
    until("the gateway has stopped", async || stack.server.is_finished()).await;
    drop(stream);
    stack.settles_at(0).await;
}
