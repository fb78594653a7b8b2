//! Who gets an account, changes it and loses it; and what that does to the tokens that are out.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    mysql_is_absent, on_both,
};
use auth::Registration;
use futures::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    accounts_of_the_original_come_over,
    only_administrators_add_accounts_while_registration_is_closed,
    anybody_registers_as_a_user_while_it_is_open,
    bad_users_are_refused_with_a_reason,
    bodies_are_small_json_objects,
    users_are_listed_in_pages_by_name,
    users_see_themselves_and_nobody_else,
    a_change_of_role_or_state_voids_the_tokens,
    a_change_of_password_needs_the_current_one,
    a_deleted_name_is_never_given_again,
    two_demotions_at_once_leave_an_administrator,
    the_last_administrator_stays,
}

async fn open(backend: &Backend) -> (Running, String) {
    let server = Running::open(backend.config()).await;
    let admin = server.token("admin", FIRST_PASSWORD).await;
    (server, admin)
}

async fn only_administrators_add_accounts_while_registration_is_closed(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let ada = || json!({"name": "ada b", "password": "a password"});
    let nobody = server.post("/v1/users", "", ada()).await;
    problem(nobody, StatusCode::UNAUTHORIZED, "unauthorized").await;
    let answer = server.post("/v1/users", &admin, ada()).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["location"], "/v1/users/ada%20b");
    let made: Value = answer.json().await.unwrap();
    assert_eq!((&made["name"], &made["role"]), (&json!("ada b"), &json!("user")));
    assert_eq!(made["disabled"], false);
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'), "{made}");
    let seen = server.get("/v1/users/ada%20b", &admin).await.json::<Value>().await.unwrap();
    assert_eq!(seen, made);
    let again = server.post("/v1/users", &admin, ada()).await;
    problem(again, StatusCode::CONFLICT, "name_taken").await;
    let token = server.token("ada b", "a password").await;
    let bob = json!({"name": "bob", "password": "a password"});
    let refused = server.post("/v1/users", &token, bob).await;
    problem(refused, StatusCode::FORBIDDEN, "forbidden").await;
}

async fn anybody_registers_as_a_user_while_it_is_open(backend: &Backend) {
    let mut config = backend.config();
    config.registration = Registration::Open;
    let server = Running::open(config).await;
    let user = |role: &str| json!({"name": "ada", "password": "a password", "role": role});
    let root = server.post("/v1/users", "", user("admin")).await;
    problem(root, StatusCode::FORBIDDEN, "forbidden").await;
    let wrong = server.post("/v1/users", "a.b.c", user("user")).await;
    problem(wrong, StatusCode::UNAUTHORIZED, "unauthorized").await;
    let answer = server.post("/v1/users", "", user("user")).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let claims = server.claims(&server.token("ada", "a password").await).await;
    assert_eq!(claims["role"], "user");
    let admin = server.token("admin", FIRST_PASSWORD).await;
    server.add(&admin, "bob", "admin").await;
}

async fn bad_users_are_refused_with_a_reason(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let good = "a password";
    for user in [
        json!({"name": "", "password": good}),
        json!({"name": "x".repeat(65), "password": good}),
        json!({"name": "a:b", "password": good}),
        json!({"name": "a\nb", "password": good}),
        json!({"name": " ada", "password": good}),
        json!({"name": 7, "password": good}),
        json!({"name": "ada", "password": "1234567"}),
        json!({"name": "ada", "password": "x".repeat(1025)}),
        json!({"name": "ada", "password": good, "role": "root"}),
        json!({"name": "ada", "password": good, "admin": true}),
        json!({"name": "ada"}),
        json!({}),
        json!(["ada", good, "user"]),
        json!("ada"),
        json!(null),
    ] {
        let answer = server.post("/v1/users", &admin, user).await;
        problem(answer, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    for name in ["x".repeat(64), "\u{1f3b5}".repeat(64)] {
        server.add(&admin, &name, "user").await;
        server.token(&name, good).await;
    }
    for change in [json!({"role": "root"}), json!({"disabled": 1}), json!({"name": "eve"})] {
        let answer = server.patch(&admin, "admin", change).await;
        problem(answer, StatusCode::BAD_REQUEST, "bad_request").await;
    }
}

async fn bodies_are_small_json_objects(backend: &Backend) {
    let (server, admin) = open(backend).await;
    let post = |body: String| {
        let request = server.request(Method::POST, "/v1/users").bearer_auth(&admin);
        request.header("content-type", "application/json; charset=utf-8").body(body)
    };
    let padded = |length: usize| {
        let user = r#"{"name":"ada","password":"a password"}"#;
        format!("{user}{}", " ".repeat(length - user.len()))
    };
    let answer = post(padded(16 * 1024 + 1)).send().await.unwrap();
    problem(answer, StatusCode::PAYLOAD_TOO_LARGE, "body_too_large").await;
    // In chunks, so no length is told.
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(" ".repeat(1024)));
    let chunked = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = post(String::new()).body(chunked).send().await.unwrap();
    problem(request, StatusCode::PAYLOAD_TOO_LARGE, "body_too_large").await;
    let answer = post(padded(16 * 1024)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    for text in ["", "{", "{\"name\":", "\u{0}", "{}{}"] {
        let answer = post(text.to_owned()).send().await.unwrap();
        problem(answer, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = server.request(Method::POST, "/v1/users").bearer_auth(&admin);
        let answer = request.header("content-type", kind).body("{}").send().await.unwrap();
        problem(answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type").await;
    }
}

async fn users_are_listed_in_pages_by_name(backend: &Backend) {
    let (server, admin) = open(backend).await;
    for name in ["\u{e4}da", "Bob", "ada", "cleo"] {
        server.add(&admin, name, "user").await;
    }
    let mut names = Vec::new();
    let mut path = "/v1/users?limit=2".to_owned();
    loop {
        let page: Value = server.get(&path, &admin).await.json().await.unwrap();
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()), "{page}");
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/users?limit=2&cursor={next}");
    }
    assert_eq!(names, ["Bob", "ada", "admin", "cleo", "\u{e4}da"]);
    for query in ["limit=0", "limit=101", "limit=-1", "limit=1e2", "limit=", "cursor=%00%ff"] {
        let answer = server.get(&format!("/v1/users?{query}"), &admin).await;
        problem(answer, StatusCode::BAD_REQUEST, "bad_request").await;
    }
}

async fn users_see_themselves_and_nobody_else(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    let ada = server.token("ada", "a password").await;
    assert_eq!(server.get("/v1/users/ada", &ada).await.status(), StatusCode::OK);
    for path in ["/v1/users/admin", "/v1/users/nobody", "/v1/users/a%3Ab", "/v1/users/%ff"] {
        problem(server.get(path, &ada).await, StatusCode::NOT_FOUND, "not_found").await;
    }
    problem(server.get("/v1/users", &ada).await, StatusCode::FORBIDDEN, "forbidden").await;
    let patched = server.patch(&ada, "ada", json!({"role": "admin"})).await;
    problem(patched, StatusCode::FORBIDDEN, "forbidden").await;
    let other = server.send(Method::DELETE, "/v1/users/admin", &ada, None).await;
    problem(other, StatusCode::NOT_FOUND, "not_found").await;
    let other = json!({"current": FIRST_PASSWORD, "new": "another password"});
    let put = server.send(Method::PUT, "/v1/users/admin/password", &ada, Some(other)).await;
    problem(put, StatusCode::NOT_FOUND, "not_found").await;
    problem(server.get("/v1/users/ada", "").await, StatusCode::UNAUTHORIZED, "unauthorized").await;
}

async fn a_change_of_role_or_state_voids_the_tokens(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    let epochs = async || {
        let answer = server.get("/revocations", "").await;
        answer.json::<Value>().await.unwrap()["items"].as_array().unwrap().clone()
    };
    assert!(epochs().await.is_empty());
    let changes = [
        json!({"role": "admin"}),
        json!({"role": "user"}),
        json!({"password": "a password"}),
        json!({"disabled": true}),
    ];
    for (epoch, change) in changes.iter().enumerate() {
        let ada = server.token("ada", "a password").await;
        assert_eq!(server.claims(&ada).await["epoch"], epoch);
        let answer = server.patch(&admin, "ada", change.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{change}");
        let answer = server.validate(&ada).await;
        problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
        assert_eq!(epochs().await, [json!({"sub": "ada", "epoch": epoch + 1})]);
    }
    let refused = server.login("ada", "a password").await;
    problem(refused, StatusCode::UNAUTHORIZED, "unauthorized").await;
    let enabled = server.patch(&admin, "ada", json!({"disabled": false})).await;
    assert_eq!(enabled.json::<Value>().await.unwrap()["disabled"], false);
    let token = server.token("ada", "a password").await;
    // What changes nothing voids nothing.
    for change in [json!({}), json!({"role": "user", "disabled": false}), json!({"role": null})] {
        assert_eq!(server.patch(&admin, "ada", change).await.status(), StatusCode::OK);
    }
    server.claims(&token).await;
    // After a login token's lifetime nobody needs to know.
    backend.execute("UPDATE accounts SET epoch_raised_at = epoch_raised_at - 86500000").await;
    assert!(epochs().await.is_empty());
}

async fn a_change_of_password_needs_the_current_one(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    let ada = server.token("ada", "a password").await;
    let put = async |token: &str, current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        server.send(Method::PUT, "/v1/users/ada/password", token, Some(body)).await
    };
    let wrong = put(&ada, "not my password", "another password").await;
    problem(wrong, StatusCode::FORBIDDEN, "wrong_password").await;
    let short = put(&ada, "a password", "1234567").await;
    problem(short, StatusCode::BAD_REQUEST, "bad_request").await;
    let api = server.post("/v1/tokens", &ada, json!({"name": "script"})).await;
    let api: Value = api.json().await.unwrap();
    let api = api["token"].as_str().unwrap();
    problem(put(api, "a password", "x password").await, StatusCode::FORBIDDEN, "forbidden").await;

    let changed = put(&ada, "a password", "another password").await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    let void = put(&ada, "another password", "a third password").await;
    problem(void, StatusCode::UNAUTHORIZED, "unauthorized").await;
    server.claims(api).await;
    assert_eq!(server.login("ada", "a password").await.status(), StatusCode::UNAUTHORIZED);
    let ada = server.token("ada", "another password").await;

    // Wrong ones are counted like those of logins; three of them and it is later.
    for _ in 0..3 {
        put(&ada, "not my password", "whatever it is").await;
    }
    let later = put(&ada, "another password", "a third password").await;
    problem(later, StatusCode::TOO_MANY_REQUESTS, "too_many_requests").await;
    let later = server.login("ada", "another password").await;
    problem(later, StatusCode::TOO_MANY_REQUESTS, "too_many_requests").await;
    // An administrator's password ends the waiting.
    server.patch(&admin, "ada", json!({"password": "fresh password"})).await;
    server.token("ada", "fresh password").await;
}

async fn a_deleted_name_is_never_given_again(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "admin").await;
    let ada = server.token("ada", "a password").await;
    let api = server.post("/v1/tokens", &ada, json!({"name": "script"})).await;
    let api: Value = api.json().await.unwrap();
    let delete =
        async |token: &str| server.send(Method::DELETE, "/v1/users/ada", token, None).await;
    assert_eq!(delete(&ada).await.status(), StatusCode::NO_CONTENT);
    for token in [&ada, api["token"].as_str().unwrap()] {
        let answer = server.validate(token).await;
        problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
    }
    let wrong = server.login("ada", "a password").await;
    problem(wrong, StatusCode::UNAUTHORIZED, "unauthorized").await;
    problem(delete(&admin).await, StatusCode::NOT_FOUND, "not_found").await;
    let gone = server.patch(&admin, "ada", json!({"disabled": false})).await;
    problem(gone, StatusCode::NOT_FOUND, "not_found").await;
    let list: Value = server.get("/v1/users", &admin).await.json().await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let again = json!({"name": "ada", "password": "a password"});
    let again = server.post("/v1/users", &admin, again).await;
    problem(again, StatusCode::CONFLICT, "name_taken").await;
    let revoked: Value = server.get("/revocations", "").await.json().await.unwrap();
    assert_eq!(revoked["items"], json!([{"sub": "ada", "epoch": 1}]));
    assert_eq!(backend.count("api_tokens").await, 0);
}

async fn two_demotions_at_once_leave_an_administrator(backend: &Backend) {
    let servers = [open(backend).await.0, open(backend).await.0];
    for round in 0..8 {
        let admin = servers[0].token("admin", FIRST_PASSWORD).await;
        if round == 0 {
            servers[0].add(&admin, "ada", "admin").await;
        }
        servers[0].patch(&admin, "ada", json!({"role": "admin", "disabled": false})).await;
        let ada = servers[1].token("ada", "a password").await;
        let demote =
            if round % 2 == 0 { json!({"role": "user"}) } else { json!({"disabled": true}) };
        let (one, two) = join(
            servers[0].patch(&admin, "ada", demote.clone()),
            servers[1].patch(&ada, "admin", demote.clone()),
        )
        .await;
        let left = "SELECT COUNT(*) AS value FROM accounts WHERE role = 'admin' AND NOT disabled";
        assert_eq!(backend.number(left).await, 1, "{} {}", one.status(), two.status());
        // Who lost is not the last one, or has lost its token first.
        let done = [one.status(), two.status()];
        assert_eq!(done.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{done:?}");
        let restore = "UPDATE accounts SET role = 'admin', disabled = FALSE, epoch = epoch + 1";
        backend.execute(restore).await;
    }
}

async fn the_last_administrator_stays(backend: &Backend) {
    let (server, admin) = open(backend).await;
    server.add(&admin, "ada", "user").await;
    for change in [json!({"role": "user"}), json!({"disabled": true})] {
        let answer = server.patch(&admin, "admin", change).await;
        problem(answer, StatusCode::CONFLICT, "last_admin").await;
    }
    let deletions = (0..3).map(|_| server.send(Method::DELETE, "/v1/users/admin", &admin, None));
    for answer in join_all(deletions).await {
        problem(answer, StatusCode::CONFLICT, "last_admin").await;
    }
    // One that is disabled counts for nothing.
    server.patch(&admin, "ada", json!({"role": "admin", "disabled": true})).await;
    let answer = server.patch(&admin, "admin", json!({"role": "user"})).await;
    problem(answer, StatusCode::CONFLICT, "last_admin").await;
    server.claims(&admin).await;
}

async fn accounts_of_the_original_come_over(backend: &Backend) {
    // They lie in MySQL, wherever ours do.
    if mysql_is_absent() {
        return;
    }
    let come_over = async |original: &Backend| {
        for sql in [
            "CREATE TABLE user (id INT AUTO_INCREMENT PRIMARY KEY, \
             email VARCHAR(255) NOT NULL UNIQUE, password VARCHAR(255) NOT NULL)",
            "INSERT INTO user (email, password) VALUES ('bob@example.org', 'short'), \
             ('ada@example.org', 'a long password'), ('a:b', 'odd')",
        ] {
            original.execute(sql).await;
        }
        let (config, from) = (backend.config(), original.url().into());
        for expected in [(2, 0), (0, 2)] {
            let imported = auth::import_accounts(&config, &from).await.unwrap();
            assert_eq!((imported.added, imported.known), expected);
            assert_eq!(imported.unusable, ["a:b"]);
        }
        let server = Running::open(config).await;
        let claims = server.claims(&server.token("bob@example.org", "short").await).await;
        assert_eq!(claims["role"], "user");
        server.token("ada@example.org", "a long password").await;
        assert!(backend.password_hash("bob@example.org").await.starts_with("$argon2id$"));
        let tables = "SELECT COUNT(*) AS value FROM information_schema.tables \
                      WHERE table_schema = DATABASE()";
        assert_eq!((original.number(tables).await, original.count("user").await), (1, 3));
    };
    Backend::mysql().await.run(come_over).await;
}
