//! Pages of other origins.

use crate::{http::Answer, stack::Stack};
use reqwest::Method;

const PAGE: &str = "https://app.example.org";

async fn letting_in(origins: &str) -> Stack {
    let origins = origins.parse().unwrap();
    Stack::with(|http| http.cors_origins = origins, None).await
}

async fn preflight(stack: &Stack, origin: &'static str) -> Answer {
    let request = stack.request(Method::OPTIONS, "/v1/conversions/x/mp3").header("origin", origin);
    let request = request.header("access-control-request-method", "GET");
    Answer::of(request.header("access-control-request-headers", "authorization,range")).await
}

fn speaks_of_origins(answer: &Answer) -> bool {
    answer.headers.keys().any(|name| name.as_str().starts_with("access-control"))
}

#[tokio::test]
async fn no_page_is_let_in_unless_it_is_named() {
    let stack = Stack::start().await;
    let answer = preflight(&stack, PAGE).await;
    answer.is_problem(405, "method_not_allowed");
    let get = stack.get("ada", "/v1/videos").await;
    for answer in [answer, get] {
        assert!(!speaks_of_origins(&answer) && !answer.headers.contains_key("vary"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_named_page_is_let_in_and_no_other() {
    let stack = letting_in(&format!("http://localhost:3000,{PAGE}")).await;
    let answer = preflight(&stack, PAGE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, PAGE));
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    for name in ["authorization", "idempotency-key", "range", "if-none-match", "if-range"] {
        assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
    }
    let other = preflight(&stack, "https://app.example.org.evil").await;
    assert!(other.status == 405 && !speaks_of_origins(&other), "{other:?}");
    assert_eq!(other.header("vary"), "Origin");
}

#[tokio::test]
async fn a_page_may_read_answers_and_errors() {
    for (origins, named) in [(PAGE, PAGE), ("*", "*")] {
        let stack = letting_in(origins).await;
        for path in ["/v1/videos", "/nothing", "/v1/videos/x", "/healthz"] {
            for user in [true, false] {
                let request = stack.request(Method::GET, path).header("origin", PAGE);
                let token = if user { stack.signer.token("ada") } else { "x".to_owned() };
                let answer = Answer::of(request.bearer_auth(token)).await;
                assert_eq!(answer.header("access-control-allow-origin"), named, "{path}");
                assert!(answer.header("access-control-expose-headers").contains("etag"));
                assert_eq!(answer.header("vary"), "Origin");
                assert!(!answer.headers.contains_key("access-control-allow-credentials"));
                assert_eq!(answer.header("x-content-type-options"), "nosniff");
                assert_eq!(answer.header("cache-control"), "no-store");
            }
        }
    }
}
