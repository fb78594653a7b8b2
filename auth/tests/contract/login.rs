//! Who gets a token, and who does not.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    on_both,
};
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, Version};
use auth::{BadPassword, Error, add_account};
use domain::Role;
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use std::{
    collections::HashSet,
    thread::available_parallelism,
    time::{Duration, Instant},
};

on_both! {
    the_right_password_gives_a_token_with_the_claims,
    the_first_account_is_an_administrator,
    every_refusal_reads_the_same,
    names_differ_byte_for_byte,
    a_name_is_taken_only_once,
    an_old_hash_is_replaced_at_login,
    an_unknown_name_takes_as_long_as_a_known_one,
    a_flood_of_logins_is_told_to_come_back,
    a_broken_database_is_unavailable_and_says_no_more,
}

async fn the_right_password_gives_a_token_with_the_claims(backend: &Backend) {
    let config = backend.config();
    add_account(&config, &"ada".parse().unwrap(), Role::User, "a password".into()).await.unwrap();
    let server = Running::open(config).await;
    let answer = server.login("ada", "a password").await;
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let claims = server.claims(&answer.text().await.unwrap()).await;
    for (claim, value) in [
        ("username", "ada"),
        ("sub", "ada"),
        ("role", "user"),
        ("iss", "audio-converter"),
        ("aud", "audio-converter"),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    assert_eq!(claims["admin"], false);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 86_400);
}

async fn the_first_account_is_an_administrator(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let claims = server.claims(&server.token("admin", FIRST_PASSWORD).await).await;
    assert_eq!((&claims["admin"], &claims["role"]), (&true.into(), &"admin".into()));
}

async fn every_refusal_reads_the_same(backend: &Backend) {
    let config = backend.config();
    add_account(&config, &"gone".parse().unwrap(), Role::User, "a password".into()).await.unwrap();
    backend.execute("UPDATE accounts SET disabled = TRUE WHERE name = 'gone'").await;
    add_account(&config, &"admin".parse().unwrap(), Role::User, FIRST_PASSWORD.into())
        .await
        .unwrap();
    let server = Running::open(config).await;
    let long = "x".repeat(2000);
    let attempts = [
        ("admin", "wrong password"),
        ("admin", ""),
        ("nobody", FIRST_PASSWORD),
        ("gone", "a password"),
        ("admin", long.as_str()),
        (long.as_str(), FIRST_PASSWORD),
        ("", ""),
        ("' OR 1=1 --", FIRST_PASSWORD),
        ("Admin", FIRST_PASSWORD),
        ("admin ", FIRST_PASSWORD),
    ];
    let mut bodies = HashSet::new();
    for (name, password) in attempts {
        let answer = server.login(name, password).await;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        bodies.insert(problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await);
    }
    for authorization in ["", "Basic", "Basic !", "Basic YWRtaW4=", "Bearer x", "Digest y"] {
        let request = server.request(Method::POST, "/login").header("authorization", authorization);
        let answer = request.send().await.unwrap();
        bodies.insert(problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await);
    }
    let bare = server.request(Method::POST, "/login").send().await.unwrap();
    bodies.insert(problem(bare, StatusCode::UNAUTHORIZED, "unauthorized").await);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

async fn names_differ_byte_for_byte(backend: &Backend) {
    let config = backend.config();
    let names = ["ada", "Ada", "\u{e4}da", "a\u{308}da", "\u{1f3b5}", "ADA"];
    for name in names {
        let password = format!("password of {name}").into();
        add_account(&config, &name.parse().unwrap(), Role::User, password).await.unwrap();
    }
    let server = Running::open(config).await;
    for name in names {
        let claims = server.claims(&server.token(name, &format!("password of {name}")).await).await;
        assert_eq!(claims["username"], name);
    }
}

async fn a_name_is_taken_only_once(backend: &Backend) {
    let (config, ada) = (backend.config(), "ada".parse().unwrap());
    let add = || add_account(&config, &ada, Role::User, "a password".into());
    let added = join_all([add(), add(), add()]).await;
    assert_eq!(added.iter().filter(|result| result.is_ok()).count(), 1, "{added:?}");
    assert!(matches!(add().await, Err(Error::Exists(_))));
    let short = add_account(&config, &"bob".parse().unwrap(), Role::User, "1234567".into()).await;
    assert!(matches!(short, Err(Error::BadPassword(BadPassword))));
    assert_eq!(backend.count("accounts").await, 1);
}

async fn an_old_hash_is_replaced_at_login(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let weak =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    let weak: PasswordHash = weak.hash_password(b"a password").unwrap();
    backend.execute(&format!("UPDATE accounts SET password_hash = '{weak}'")).await;
    assert_eq!(server.login("admin", "wrong password").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(backend.password_hash("admin").await, weak.to_string());
    server.token("admin", "a password").await;
    let fresh = backend.password_hash("admin").await;
    assert!(fresh.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{fresh}");
    server.token("admin", "a password").await;
    assert_eq!(backend.password_hash("admin").await, fresh);
}

async fn an_unknown_name_takes_as_long_as_a_known_one(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let time = async |name: &str, address: &str| {
        let start = Instant::now();
        let answer = server.login_from(address, name, "wrong password").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        start.elapsed()
    };
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for round in 0..8 {
        let address = format!("192.0.2.{round}");
        known = known.min(time("admin", &address).await);
        unknown = unknown.min(time("nobody", &address).await);
    }
    // Without a hash it would be tens of times quicker; a busy machine makes it look 3 times so.
    // That the hash costs the same is tested beside it.
    assert!(unknown * 6 > known, "known {known:?}, unknown {unknown:?}");
}

async fn a_flood_of_logins_is_told_to_come_back(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let flood = (available_parallelism().unwrap().get() + 32) * 4;
    let answers = join_all((0..flood).map(|_| server.login("admin", FIRST_PASSWORD))).await;
    let (in_time, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status() == StatusCode::OK);
    assert!(in_time.len() >= 32, "{} of {flood} got in", in_time.len());
    assert!(!refused.is_empty(), "{flood} logins at once all got in");
    for answer in refused {
        assert_eq!(answer.headers()["retry-after"], "1");
        problem(answer, StatusCode::SERVICE_UNAVAILABLE, "busy").await;
    }
    server.token("admin", FIRST_PASSWORD).await;
}

async fn a_broken_database_is_unavailable_and_says_no_more(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    backend.execute("DROP TABLE accounts").await;
    let answer = server.login("admin", FIRST_PASSWORD).await;
    let body = problem(answer, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    assert!(!body.to_lowercase().contains("table"), "{body}");
}
