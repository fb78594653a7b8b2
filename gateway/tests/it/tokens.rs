//! Who is let in, and what auth's absence means.

use crate::{
    auth::{self, Signer},
    http::{Answer, begun, rest},
    stack::{Stack, until},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use reqwest::Method;
use serde_json::json;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;

const UNSIGNED: &str = r#"{"alg":"none","typ":"at+jwt","kid":"one"}"#;

const ADDRESSES: [(Method, &str); 13] = [
    (Method::GET, "/v1/me"),
    (Method::DELETE, "/v1/videos/x"),
    (Method::POST, "/v1/conversions/x/retry"),
    (Method::POST, "/v1/videos"),
    (Method::GET, "/v1/videos"),
    (Method::GET, "/v1/videos/x"),
    (Method::POST, "/v1/conversions"),
    (Method::GET, "/v1/conversions"),
    (Method::GET, "/v1/conversions/x"),
    (Method::POST, "/v1/conversions/x/cancel"),
    (Method::GET, "/v1/conversions/x/mp3"),
    (Method::POST, "/upload"),
    (Method::GET, "/download?fid=x"),
];

#[tokio::test]
async fn every_bad_token_reads_the_same_everywhere() {
    let stack = Stack::start().await;
    let forged = Signer::new("one").token("ada");
    let unknown = Signer::new("two").token("ada");
    let shared = Signer::new("shared").token("ada");
    let old = stack.signer.token_with("ada", &json!({"exp": 1_700_000_000}));
    let foreign = stack.signer.token_with("ada", &json!({"iss": "somebody-else"}));
    let (header, rest) = (BASE64.encode(UNSIGNED), stack.signer.token("ada"));
    let unsigned = format!("{header}.{}.", rest.split('.').nth(1).unwrap());
    let long = "x".repeat(50_000);
    let mut bodies = Vec::new();
    for (method, path) in ADDRESSES {
        for token in [&forged, &unknown, &shared, &old, &foreign, &unsigned, &long, "x", ""] {
            let answer = Answer::of(stack.request(method.clone(), path).bearer_auth(token)).await;
            answer.is_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
            bodies.push(answer.body);
        }
        bodies.push(Answer::of(stack.request(method.clone(), path)).await.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert!(stack.auth.keys.load(Ordering::Relaxed) <= 1, "invented key names must not flood auth");
}

#[tokio::test]
async fn auth_may_start_later_than_the_gateway() {
    let later = auth::nowhere().await;
    let stack = Stack::with(|http| http.auth_url.set_port(Some(later.port())).unwrap(), None).await;
    let answer = stack.get("ada", "/v1/videos").await;
    answer.is_problem(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    auth::serve(TcpListener::bind(later).await.unwrap(), &stack.signer);
    until("the keys have come", async || stack.get("ada", "/v1/videos").await.status == 200).await;
}

#[tokio::test]
async fn login_is_auths_answer() {
    let stack = Stack::start().await;
    let login = |user: &str, password: &str| {
        Answer::of(stack.request(Method::POST, "/login").basic_auth(user, Some(password)))
    };
    let good = login("ada", "hush").await;
    assert_eq!((good.status, good.text()), (200, "the-token"));
    assert_eq!(good.header("cache-control"), "no-store");
    let bad = login("ada", "wrong").await;
    bad.is_problem(401, "unauthorized");
    assert!(bad.header("www-authenticate").starts_with("Basic"));
    login("busy", "busy").await.is_problem(503, "busy");
    let early = login("slow", "slow").await;
    early.is_problem(429, "too_many_requests");
    assert_eq!(early.header("retry-after"), "17");
    Answer::of(stack.request(Method::POST, "/login")).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn login_without_auth_is_unavailable() {
    let nowhere = auth::nowhere().await;
    let stack =
        Stack::with(|http| http.auth_url.set_port(Some(nowhere.port())).unwrap(), None).await;
    let login = stack.request(Method::POST, "/login").basic_auth("ada", Some("hush"));
    let answer = Answer::of(login).await;
    answer.is_problem(503, "unavailable");
    assert!(!answer.text().contains("127.0.0.1"), "{answer:?}");
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_refused_and_the_refusal_can_be_read() {
    let stack = Stack::start().await;
    let token = "x".repeat(1 << 20);
    let head =
        format!("GET /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let answer = rest(&mut begun(stack.address, &head).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(stack.get("ada", "/v1/videos").await.status, 200);
}
