//! Login tokens that are void before their time, and personal API tokens, which auth judges.

use crate::{auth::Auth, http::Answer, stack::Stack};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

/// A gateway that asks for the revocations each time.
async fn watchful() -> Stack {
    Stack::with(|http| http.revocation_age = Duration::ZERO, None).await
}

async fn list(stack: &Stack, token: &str) -> Answer {
    Answer::of(stack.request(Method::GET, "/v1/videos").bearer_auth(token)).await
}

fn revoke(auth: &Auth, user: &str, epoch: u64) {
    auth.epochs.lock().unwrap().insert(user.to_owned(), epoch);
}

const API_TOKEN: &str = "act_0123456789-_abcdefghijklmnopqrstuvwxyzABCDE";

#[tokio::test]
async fn a_token_of_an_earlier_epoch_is_void() {
    let stack = watchful().await;
    let (old, at) = (stack.signer.token("ada"), |epoch| {
        stack.signer.token_with("ada", &json!({"epoch": epoch}))
    });
    assert_eq!(list(&stack, &old).await.status, 200);
    revoke(&stack.auth, "ada", 2);
    let refused = list(&stack, &old).await;
    refused.is_problem(401, "unauthorized");
    assert_eq!(refused.body, list(&stack, "x").await.body);
    list(&stack, &at(1)).await.is_problem(401, "unauthorized");
    assert_eq!(list(&stack, &at(2)).await.status, 200);
    assert_eq!(stack.get("bob", "/v1/videos").await.status, 200);
}

#[tokio::test]
async fn the_list_is_kept_and_fetched_once_for_all() {
    let stack = Stack::with(|http| http.revocation_age = Duration::from_secs(3600), None).await;
    let answers = join_all((0..20).map(|_| stack.get("ada", "/v1/videos"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    revoke(&stack.auth, "ada", 1);
    assert_eq!(stack.get("ada", "/v1/videos").await.status, 200, "the list is an hour old at most");
    assert_eq!((stack.auth.lists.load(Relaxed), stack.auth.keys.load(Relaxed)), (1, 1));
}

#[tokio::test]
async fn without_auth_what_is_known_counts() {
    let stack = watchful().await;
    revoke(&stack.auth, "bob", 1);
    assert_eq!(stack.get("ada", "/v1/videos").await.status, 200);
    stack.auth.go().await;
    assert_eq!(stack.get("ada", "/v1/videos").await.status, 200);
    stack.get("bob", "/v1/videos").await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn an_auth_that_does_not_answer_holds_nobody_up_for_long() {
    let stack = watchful().await;
    stack.auth.hangs.store(true, Relaxed);
    let began = Instant::now();
    assert_eq!(stack.get("ada", "/v1/videos").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_api_token_is_auths_to_judge_every_time() {
    let stack = Stack::start().await;
    stack.auth.api_tokens.lock().unwrap().insert(API_TOKEN.to_owned(), "ada".to_owned());
    let made = stack.upload("ada", "x").await;
    for _ in 0..3 {
        let answer = list(&stack, API_TOKEN).await;
        assert_eq!(answer.json()["items"][0]["id"], json!(made.video));
    }
    assert_eq!(stack.auth.validations.load(Relaxed), 3);
    stack.auth.api_tokens.lock().unwrap().clear();
    let refused = list(&stack, API_TOKEN).await;
    refused.is_problem(401, "unauthorized");
    assert_eq!(refused.body, list(&stack, "x").await.body);
    stack.auth.go().await;
    list(&stack, API_TOKEN).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn auth_is_not_asked_about_what_is_no_api_token() {
    let stack = Stack::start().await;
    for bad in [
        "act_",
        &API_TOKEN[1..],
        &API_TOKEN[..46],
        &format!("{API_TOKEN}x"),
        &API_TOKEN.replace('-', "."),
    ] {
        list(&stack, bad).await.is_problem(401, "unauthorized");
    }
    assert_eq!(stack.auth.validations.load(Relaxed), 0);
}
