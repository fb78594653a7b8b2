//! What is too long, too much or cut short.

use crate::{
    http::{Answer, FORM, begun, part, rest},
    stack::{Stack, until},
};
use reqwest::{Body, Method};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const LIMIT: u64 = 100_000;

async fn limited() -> Stack {
    Stack::with(|http| http.max_upload_bytes = LIMIT, None).await
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_unread() {
    let stack = limited().await;
    let token = stack.signer.token("ada");
    let length = LIMIT + 1;
    let head = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = begun(stack.address, &head).await;
    let (mut reading, mut writing) = stream.split();
    // The answer comes, and can be read, although the client sends on regardless.
    writing.write_all(&vec![0; 32 << 20]).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    assert!(!answer.contains("100 Continue"));
    assert_eq!(stack.pending().await, 0);
}

#[tokio::test]
async fn a_body_is_counted_as_it_comes() {
    let stack = limited().await;
    let chunks = |count: u64| {
        Body::wrap_stream(futures::stream::iter(
            (0..count).map(|_| Ok::<_, std::io::Error>(vec![7; 10_000])),
        ))
    };
    let fits = stack.conversion_of(&stack.post("ada", "/v1/videos", chunks(10)).await).await;
    assert_eq!(stack.storage.video(fits.video).await.unwrap().length, LIMIT);
    stack.post("ada", "/v1/videos", chunks(11)).await.is_problem(413, "body_too_large");
    stack.settles_at(1).await;
}

#[tokio::test]
async fn a_form_is_counted_too() {
    let stack = limited().await;
    let form = part("name=\"file\"", &"x".repeat(300_000)) + "--b--";
    let chunks = futures::stream::iter(
        form.into_bytes()
            .chunks(9000)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
            .collect::<Vec<_>>(),
    );
    let request = stack.ask("ada", Method::POST, "/upload").header("content-type", FORM);
    Answer::of(request.body(Body::wrap_stream(chunks))).await.is_problem(413, "body_too_large");
    stack.settles_at(0).await;
}

#[tokio::test]
async fn a_request_for_a_conversion_is_short() {
    let stack = Stack::start().await;
    let request = stack
        .ask("ada", Method::POST, "/v1/conversions")
        .header("content-type", "application/json");
    Answer::of(request.body(" ".repeat(20_000))).await.is_problem(413, "body_too_large");
}

#[tokio::test]
async fn uploads_beyond_the_room_wait_their_turn() {
    let stack = Stack::with(|http| http.max_uploads = 1, None).await;
    let token = stack.signer.token("ada");
    let head = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: 4\r\n\r\nab"
    );
    let mut first = begun(stack.address, &head).await;
    until("the upload has begun", async || stack.files("videos").len() == 1).await;
    let mut second = begun(stack.address, &format!("{head}yz")).await;
    first.write_all(b"cd").await.unwrap();
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 202"));
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 202"));
    stack.settles_at(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_clients_stand_in_nobodys_way() {
    let stack = Stack::start().await;
    let token = stack.signer.token("eve");
    let upload = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 9999\r\n\r\nab"
    );
    let mut slow = Vec::new();
    for n in 0..1000 {
        // Half of a head, or a head and the begin of a body.
        let sent = if n % 2 == 0 { &upload[..40] } else { &upload };
        slow.push(begun(stack.address, sent).await);
    }
    until("eve has all the room that she may", async || stack.files("videos").len() == 64).await;
    for _ in 0..20 {
        let asked = Instant::now();
        let answer = stack.post("ada", "/v1/videos", "film").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let path = format!("/v1/conversions/{}", answer.id());
        assert_eq!(stack.get("ada", &path).await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    drop(slow);
    stack.settles_at(20).await;
}
