//! A repeated request changes nothing.

use crate::{
    http::{Answer, FORM, part},
    stack::Stack,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

async fn keyed(stack: &Stack, user: &str, path: &str, key: &str, body: &'static str) -> Answer {
    Answer::of(stack.ask(user, Method::POST, path).header("idempotency-key", key).body(body)).await
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let first = keyed(&stack, "ada", "/v1/videos?name=a.mp4", "k", "the video").await;
    let again = keyed(&stack, "ada", "/v1/videos?name=b.mp4", "k", "the video").await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!((first.id(), first.json()), (again.id(), again.json()));
    assert_eq!(first.header("location"), again.header("location"));
    let form = part("name=\"file\"", "the video") + "--b--";
    let form = stack
        .ask("ada", Method::POST, "/upload")
        .header("idempotency-key", "k")
        .header("content-type", FORM)
        .body(form);
    assert_eq!(Answer::of(form).await.header("location"), first.header("location"));
    stack.settles_at(1).await;
}

#[tokio::test]
async fn a_key_stands_for_one_content() {
    let stack = Stack::start().await;
    let first = keyed(&stack, "ada", "/v1/videos", "k", "the video").await;
    assert_eq!(first.status, 202);
    for (path, body) in
        [("/v1/videos", "the videO"), ("/v1/videos", ""), ("/v1/videos?preset=v0", "the video")]
    {
        keyed(&stack, "ada", path, "k", body).await.is_problem(422, "idempotency_key_reused");
    }
    let other = keyed(&stack, "bob", "/v1/videos", "k", "the video").await;
    assert_ne!(other.id(), first.id());
    keyed(&stack, "ada", "/v1/videos", "", "x").await.is_problem(400, "bad_request");
    stack.settles_at(2).await;
}

#[tokio::test]
async fn twenty_at_once_make_one_conversion() {
    let stack = Stack::start().await;
    let requests = (0..20).map(|_| keyed(&stack, "ada", "/v1/videos", "k", "the video"));
    let answers = join_all(requests).await;
    let first = answers[0].id();
    for answer in &answers {
        assert_eq!((answer.status, answer.id()), (202, first), "{answer:?}");
    }
    stack.settles_at(1).await;
    for list in ["/v1/videos", "/v1/conversions"] {
        assert_eq!(
            stack.get("ada", list).await.json()["items"].as_array().unwrap().len(),
            1,
            "{list}"
        );
    }
}

#[tokio::test]
async fn twenty_different_ones_at_once_make_one_conversion() {
    let stack = Stack::start().await;
    let bodies = ["one", "two"];
    let requests = (0..20).map(|n| keyed(&stack, "ada", "/v1/videos", "k", bodies[n % 2]));
    let answers = join_all(requests).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    let refused = answers.iter().filter(|answer| answer.status == 422).count();
    assert_eq!((accepted, refused), (10, 10));
    stack.settles_at(1).await;
}

#[tokio::test]
async fn another_conversion_of_a_video_is_made_once() {
    let stack = Stack::start().await;
    let video = stack.upload("ada", "x").await.video;
    let ask = |preset: &'static str| {
        let request =
            stack.ask("ada", Method::POST, "/v1/conversions").header("idempotency-key", "k");
        Answer::of(request.json(&json!({"video": video, "preset": preset})))
    };
    let (first, again) = (ask("320").await, ask("320").await);
    assert_eq!((first.status, again.status, first.id()), (202, 202, again.id()));
    assert_eq!(first.json()["preset"], "320");
    ask("v4").await.is_problem(422, "idempotency_key_reused");
}
