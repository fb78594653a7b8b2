//! What is handed on to auth, and what of it auth hears and answers.

use crate::{http::Answer, stack::Stack};
use gateway::TrustedProxies;
use reqwest::Method;
use serde_json::json;
use std::net::Ipv4Addr;

const ADDRESSES: [(Method, &str); 9] = [
    (Method::POST, "/v1/users"),
    (Method::GET, "/v1/users?limit=2&cursor=a%20b"),
    (Method::GET, "/v1/users/J%C3%BCrgen"),
    (Method::PATCH, "/v1/users/ada"),
    (Method::PUT, "/v1/users/a%20b/password"),
    (Method::POST, "/v1/tokens"),
    (Method::GET, "/v1/tokens"),
    (Method::DELETE, "/v1/tokens/0199"),
    (Method::POST, "/v1/keys"),
];

#[tokio::test]
async fn requests_for_accounts_reach_auth_as_they_are() {
    let stack = Stack::start().await;
    for (method, path) in ADDRESSES {
        let request = stack.request(method.clone(), path).header("authorization", "Bearer t");
        let request = request.header("cookie", "a=b").header("x-client-address", "6.6.6.6");
        let answer = Answer::of(request.json(&json!({"name": "x"}))).await;
        assert_eq!((answer.status, answer.json()), (201, json!({"made": true})), "{path}");
        assert_eq!((answer.header("location"), answer.header("retry-after")), ("/v1/users/x", "3"));
        assert!(
            !answer.headers.contains_key("set-cookie") && answer.header("x-request-id").len() > 9
        );
        let asked = stack.auth.last();
        let (inner, query) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(
            (asked.method, asked.path.as_str(), asked.query.as_str()),
            (method, inner, query)
        );
        assert_eq!(asked.body, "{\"name\":\"x\"}");
        let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("authorization"), Some("Bearer t"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!((header("x-client-address"), header("cookie")), (Some("127.0.0.1"), None));
    }
}

#[tokio::test]
async fn what_is_handed_on_is_bounded() {
    let stack = Stack::start().await;
    let post =
        |length| Answer::of(stack.request(Method::POST, "/v1/users").body("x".repeat(length)));
    assert_eq!(post(16 * 1024).await.status, 201);
    post(16 * 1024 + 1).await.is_problem(413, "body_too_large");
    stack.get("ada", "/v1/users/long").await.is_problem(503, "unavailable");
    assert_eq!(stack.auth.asked.lock().unwrap().len(), 2);
    let wrong = Answer::of(stack.request(Method::PUT, "/v1/tokens")).await;
    wrong.is_problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET, POST");
    stack.auth.go().await;
    post(1).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn a_path_that_could_lead_elsewhere_is_not_handed_on() {
    let stack = Stack::start().await;
    for name in ["a%2fb", "%00", "%ff", "a%5cb"] {
        stack.get("ada", &format!("/v1/users/{name}")).await.is_problem(404, "not_found");
    }
    // A client library would resolve these two itself.
    for name in ["..", "%2e%2e"] {
        let head =
            format!("DELETE /v1/tokens/{name} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = crate::http::rest(&mut crate::http::begun(stack.address, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    assert!(stack.auth.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn auth_hears_the_address_of_the_client_and_not_what_it_claims() {
    for (trusted, heard) in [("10.0.0.0/8", "127.0.0.1"), ("127.0.0.0/8", "2001:db8:1:2::")] {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        let stack = Stack::with(|http| http.trusted_proxies = trusted, None).await;
        for path in ["/login", "/v1/tokens"] {
            let forwarded = format!("6.6.6.6, 2001:db8:1:2:3:4:5:6, {}", Ipv4Addr::LOCALHOST);
            let request = stack.ask("ada", Method::POST, path);
            Answer::of(request.header("x-forwarded-for", forwarded)).await;
            assert_eq!(stack.auth.last().headers["x-client-address"], heard, "{path}");
        }
    }
}
