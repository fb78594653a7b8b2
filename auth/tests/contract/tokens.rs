//! Personal API tokens.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    on_both,
};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_token_works_until_it_is_revoked,
    a_token_expires,
    what_an_api_token_may_not,
    limits_are_checked,
    an_account_has_at_most_a_hundred,
    tokens_of_others_do_not_exist,
    a_disabled_account_has_no_good_token,
    forged_tokens_get_the_same_answer,
}

async fn open(backend: &Backend) -> (Running, String) {
    let server = Running::open(backend.config()).await;
    let admin = server.token("admin", FIRST_PASSWORD).await;
    (server, admin)
}

async fn create(server: &Running, login: &str, body: Value) -> Value {
    let answer = server.post("/v1/tokens", login, body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.unwrap()
}

fn text(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

async fn delete(server: &Running, login: &str, token: &Value) -> StatusCode {
    let path = format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    server.send(Method::DELETE, &path, login, None).await.status()
}

async fn a_token_works_until_it_is_revoked(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let token = create(&server, &admin, json!({"name": "ci"})).await;
    assert!(text(&token).starts_with("act_") && text(&token).len() == 47, "{token}");
    assert_eq!(token["expires_at"], json!(null));
    let claims = server.claims(text(&token)).await;
    assert_eq!((&claims["sub"], &claims["username"]), (&json!("admin"), &json!("admin")));
    assert_eq!((&claims["role"], &claims["admin"]), (&json!("admin"), &json!(true)));
    assert_eq!((&claims["token"], &claims["epoch"]), (&token["id"], &json!(0)));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(server.get("/v1/users", text(&token)).await.status(), StatusCode::OK);

    let list: Value = server.get("/v1/tokens", &admin).await.json().await.unwrap();
    let mut shown = token.clone();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(list, json!({"items": [shown], "next": null}));
    let stored =
        format!("SELECT COUNT(*) AS value FROM api_tokens WHERE name = '{}'", text(&token));
    assert_eq!(backend.number(&stored).await, 0);

    assert_eq!(delete(&server, &admin, &token).await, StatusCode::NO_CONTENT);
    let answer = server.validate(text(&token)).await;
    problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
    assert_eq!(delete(&server, &admin, &token).await, StatusCode::NOT_FOUND);
}

async fn a_token_expires(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let token = create(&server, &admin, json!({"name": "ci", "expires_in_days": 1})).await;
    let claims = server.claims(text(&token)).await;
    let left = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((86_390..=86_400).contains(&left), "{left}");
    backend.execute("UPDATE api_tokens SET expires_at = expires_at - 86400001").await;
    let answer = server.validate(text(&token)).await;
    problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
    create(&server, &admin, json!({"name": "another"})).await;
    assert_eq!(backend.count("api_tokens").await, 1, "an expired one goes when the next is made");
}

async fn what_an_api_token_may_not(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let token = create(&server, &admin, json!({"name": "ci"})).await;
    for (path, body) in [("/v1/tokens", json!({"name": "more"})), ("/v1/keys", json!({}))] {
        let answer = server.post(path, text(&token), body).await;
        problem(answer, StatusCode::FORBIDDEN, "forbidden").await;
    }
}

async fn limits_are_checked(backend: &Backend) {
    let (server, admin) = open(backend).await;
    for days in ["0", "3651", "-1", "1e99", "1.5", "\"30\"", "9223372036854775807", "[]"] {
        let body = format!("{{\"name\": \"ci\", \"expires_in_days\": {days}}}");
        let request = server.request(Method::POST, "/v1/tokens").bearer_auth(&admin);
        let request = request.header("content-type", "application/json").body(body);
        problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST, "bad_request").await;
    }
    for days in [json!(1), json!(3650), json!(null)] {
        create(&server, &admin, json!({"name": "ci", "expires_in_days": days})).await;
    }
    for name in ["", &"x".repeat(65), "a\nb"] {
        let answer = server.post("/v1/tokens", &admin, json!({"name": name})).await;
        problem(answer, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    create(&server, &admin, json!({"name": "\u{1f3b5}".repeat(64)})).await;
    let unknown = server.post("/v1/tokens", &admin, json!({"name": "ci", "scope": "all"})).await;
    problem(unknown, StatusCode::BAD_REQUEST, "bad_request").await;
}

async fn an_account_has_at_most_a_hundred(backend: &Backend) {
    let (server, admin) = open(backend).await;
    for _ in 0..96 {
        create(&server, &admin, json!({"name": "ci"})).await;
    }
    let more = (0..8).map(|_| server.post("/v1/tokens", &admin, json!({"name": "ci"})));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(more).await.into_iter().partition(|answer| answer.status() == StatusCode::CREATED);
    assert_eq!((made.len(), refused.len()), (4, 4));
    for answer in refused {
        problem(answer, StatusCode::CONFLICT, "too_many_tokens").await;
    }
    assert_eq!(backend.count("api_tokens").await, 100);
}

async fn tokens_of_others_do_not_exist(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    let token = create(&server, &admin, json!({"name": "ci"})).await;
    let ada = server.token("ada", "a password").await;
    assert_eq!(delete(&server, &ada, &token).await, StatusCode::NOT_FOUND);
    for id in ["x", "%00", "00000000-0000-0000-0000-000000000000"] {
        let answer = server.send(Method::DELETE, &format!("/v1/tokens/{id}"), &ada, None).await;
        problem(answer, StatusCode::NOT_FOUND, "not_found").await;
    }
    let list: Value = server.get("/v1/tokens", &ada).await.json().await.unwrap();
    assert_eq!(list["items"], json!([]));
    server.claims(text(&token)).await;
}

async fn a_disabled_account_has_no_good_token(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    let ada = server.token("ada", "a password").await;
    let token = create(&server, &ada, json!({"name": "ci"})).await;
    server.patch(&admin, "ada", json!({"disabled": true})).await;
    let answer = server.validate(text(&token)).await;
    problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
    server.patch(&admin, "ada", json!({"disabled": false, "role": "admin"})).await;
    assert_eq!(server.claims(text(&token)).await["role"], "admin", "the role of now");
}

async fn forged_tokens_get_the_same_answer(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let token = create(&server, &admin, json!({"name": "ci"})).await;
    let good = text(&token);
    let bad = server.validate("a.b.c").await;
    let same = problem(bad, StatusCode::UNAUTHORIZED, "unauthorized").await;
    let other = if good.ends_with('A') { "B" } else { "A" };
    let flipped = format!("{}{other}", &good[..46]);
    let digest = backend_digest(good);
    for forged in [
        "act_",
        &flipped,
        &good[..46],
        &format!("{good}A"),
        &good.replacen("act_", "ACT_", 1),
        &good[4..],
        &format!("act_{}", "A".repeat(43)),
        &format!("act_{digest}"),
        &format!("act_{}", "%27 OR 1=1 --"),
        &format!("{good}.{good}.{good}"),
    ] {
        let answer = server.validate(forged).await;
        let body = problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
        assert_eq!(body, same, "{forged}");
    }
    server.claims(good).await;
}

/// What is stored, as somebody who has read the database would send it.
fn backend_digest(token: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}
