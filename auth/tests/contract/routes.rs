//! Paths, methods and bodies.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    on_both,
};
use reqwest::{Method, StatusCode};

on_both! {
    only_what_is_there_answers,
    health_is_a_word,
    a_large_body_is_refused_and_a_small_one_ignored,
}

async fn only_what_is_there_answers(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    for (method, path) in
        [("GET", "/"), ("POST", "/login/"), ("GET", "/v1/users/ada/x"), ("POST", "/LOGIN")]
    {
        let request = server.request(method.parse().unwrap(), path);
        problem(request.send().await.unwrap(), StatusCode::NOT_FOUND, "not_found").await;
    }
    let wrong = [
        ("GET", "/login", "POST"),
        ("DELETE", "/validate", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/.well-known/jwks.json", "GET, HEAD"),
        ("POST", "/revocations", "GET, HEAD"),
        ("GET", "/v1/keys", "POST"),
        ("DELETE", "/v1/users", "GET, HEAD, POST"),
        ("PUT", "/v1/users/ada", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/users/ada/password", "PUT"),
        ("GET", "/v1/tokens/x", "DELETE"),
    ];
    for (method, path, allowed) in wrong {
        let answer = server.request(method.parse().unwrap(), path).send().await.unwrap();
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
        problem(answer, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed").await;
    }
}

async fn health_is_a_word(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let answer = server.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "ok");
}

async fn a_large_body_is_refused_and_a_small_one_ignored(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let login = || server.request(Method::POST, "/login").basic_auth("admin", Some(FIRST_PASSWORD));
    let answer = login().body(vec![b'x'; 20_000]).send().await.unwrap();
    problem(answer, StatusCode::PAYLOAD_TOO_LARGE, "body_too_large").await;
    assert_eq!(login().body("a=b").send().await.unwrap().status(), StatusCode::OK);
}
