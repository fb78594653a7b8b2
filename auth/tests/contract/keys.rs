//! Rotation of the signing keys: nobody is logged out, and what is old goes.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    on_both,
};
use auth::rotate_keys;
use futures::future::join_all;
use jsonwebtoken::{decode_header, jwk::JwkSet};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    time::Duration,
};

on_both! {
    a_key_is_published_before_it_signs,
    twenty_rotations_under_load_log_nobody_out,
    an_old_key_is_followed_by_itself_and_by_one,
    a_key_leaves_after_its_last_token,
    only_administrators_rotate_and_only_so_often,
    only_public_halves_are_published,
}

async fn published(server: &Running) -> Vec<String> {
    let answer = server.request(Method::GET, "/.well-known/jwks.json").send().await.unwrap();
    let keys: JwkSet = answer.json().await.unwrap();
    keys.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

fn kid(token: &str) -> String {
    decode_header(token).unwrap().kid.unwrap()
}

async fn a_key_is_published_before_it_signs(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let admin = server.token("admin", FIRST_PASSWORD).await;
    let answer = server.post("/v1/keys", &admin, json!({})).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let next: Value = answer.json().await.unwrap();
    let from: jiff::Timestamp = next["signs_from"].as_str().unwrap().parse().unwrap();
    let lead = from.as_second() - jiff::Timestamp::now().as_second();
    assert!((590..=600).contains(&lead), "{lead}");
    assert_eq!(published(&server).await, [kid(&admin), next["kid"].as_str().unwrap().to_owned()]);
    let token = server.token("admin", FIRST_PASSWORD).await;
    assert_eq!(kid(&token), kid(&admin), "not yet");
    // Ten minutes later.
    backend.execute("UPDATE signing_keys SET signs_from = signs_from - 600000").await;
    let later = Running::open(backend.config()).await;
    let token = later.token("admin", FIRST_PASSWORD).await;
    assert_eq!(kid(&token), next["kid"].as_str().unwrap());
    later.claims(&admin).await;
    server.claims(&token).await;
}

async fn twenty_rotations_under_load_log_nobody_out(backend: &Backend) {
    let mut config = backend.config();
    // A key must be in the database within half of it, however busy the disk is.
    config.key_lead = Duration::from_secs(5);
    let servers = [Running::open(config.clone()).await, Running::open(config.clone()).await];
    let first = servers[0].token("admin", FIRST_PASSWORD).await;
    let (done, checks) = (AtomicBool::new(false), AtomicU32::new(0));
    let load = async |issuing: usize| {
        let mut seen = vec![first.clone()];
        while !done.load(Relaxed) {
            seen.push(servers[issuing].token("admin", FIRST_PASSWORD).await);
            for token in seen.iter().rev().take(3).chain(&seen[..1]) {
                for server in &servers {
                    server.claims(token).await;
                    checks.fetch_add(1, Relaxed);
                }
            }
        }
        seen.iter().map(|token| kid(token)).collect::<HashSet<_>>()
    };
    let rotate = async || {
        let mut last = String::new();
        for turn in 1..=20 {
            last = rotate_keys(&config).await.unwrap().kid;
            // They sign one after another, as they were made: each of them under some load.
            while checks.load(Relaxed) < turn * 32 {
                servers[0].token("admin", FIRST_PASSWORD).await;
            }
        }
        while kid(&servers[0].token("admin", FIRST_PASSWORD).await) != last {}
        done.store(true, Relaxed);
    };
    let (one, two, ()) = futures::join!(load(0), load(1), rotate());
    let kids: HashSet<_> = one.union(&two).collect();
    assert!(kids.len() >= 10, "only {} keys signed under load", kids.len());
    assert!(checks.load(Relaxed) > 100, "{checks:?} checks");
    assert_eq!(published(&servers[1]).await.len(), 21);
}

async fn an_old_key_is_followed_by_itself_and_by_one(backend: &Backend) {
    let servers = join_all((0..3).map(|_| Running::open(backend.config()))).await;
    for server in &servers {
        server.token("admin", FIRST_PASSWORD).await;
    }
    assert_eq!(backend.count("signing_keys").await, 1);
    let days = 91_i64 * 86_400_000;
    backend.execute(&format!("UPDATE signing_keys SET created_at = created_at - {days}")).await;
    let servers = join_all((0..3).map(|_| Running::open(backend.config()))).await;
    let logins = (0..12).map(|n| servers[n % 3].login("admin", FIRST_PASSWORD));
    for answer in join_all(logins).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(backend.count("signing_keys").await, 2);
}

async fn a_key_leaves_after_its_last_token(backend: &Backend) {
    let config = backend.config();
    let server = Running::open(config.clone()).await;
    let old = server.token("admin", FIRST_PASSWORD).await;
    rotate_keys(&config).await.unwrap();
    let move_start = async |seconds: i64| {
        let ago = jiff::Timestamp::now().as_millisecond() - seconds * 1000;
        let sql = format!("UPDATE signing_keys SET signs_from = {ago} WHERE generation = 2");
        backend.execute(&sql).await;
        Running::open(config.clone()).await
    };
    // A token is good for a day, and clocks may differ.
    let before = move_start(86_400 + 50).await;
    assert_eq!(published(&before).await.len(), 2);
    before.claims(&old).await;
    let after = move_start(86_400 + 61).await;
    assert_eq!(published(&after).await.len(), 1);
    let answer = after.validate(&old).await;
    problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
    rotate_keys(&config).await.unwrap();
    assert_eq!(
        backend.count("signing_keys").await,
        2,
        "the first one is gone, the private half too"
    );
}

async fn only_administrators_rotate_and_only_so_often(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let admin = server.token("admin", FIRST_PASSWORD).await;
    server.add(&admin, "ada", "user").await;
    let ada = server.token("ada", "a password").await;
    problem(server.post("/v1/keys", &ada, json!({})).await, StatusCode::FORBIDDEN, "forbidden")
        .await;
    let nobody = server.post("/v1/keys", "", json!({})).await;
    problem(nobody, StatusCode::UNAUTHORIZED, "unauthorized").await;
    for _ in 0..99 {
        let answer = server.post("/v1/keys", &admin, json!({})).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    let full = server.post("/v1/keys", &admin, json!({})).await;
    problem(full, StatusCode::CONFLICT, "too_many_keys").await;
    server.claims(&admin).await;
}

async fn only_public_halves_are_published(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    rotate_keys(&backend.config()).await.unwrap();
    let server = {
        server.stop().await;
        Running::open(backend.config()).await
    };
    let answer = server.get("/.well-known/jwks.json", "").await;
    let keys: Value = answer.json().await.unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    for key in keys["keys"].as_array().unwrap() {
        let mut fields: Vec<_> = key.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!((&key["kty"], &key["alg"]), (&json!("OKP"), &json!("EdDSA")));
    }
}
