//! Starting: alone, again, and several at once.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::Running,
    on_both,
};
use auth::{Error, Server};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use std::time::{Duration, Instant};

on_both! {
    several_first_starts_end_with_one_key_and_one_account,
    a_given_first_password_is_used_and_not_told,
    a_restart_keeps_accounts_and_tokens,
    at_the_end_it_stops_listening,
    a_taken_address_is_named,
}

async fn several_first_starts_end_with_one_key_and_one_account(backend: &Backend) {
    let open = async |name: &str| {
        let mut config = backend.config();
        config.first_password = None;
        config.first_account = name.parse().unwrap();
        tokio::spawn(Server::open(config)).await.unwrap().unwrap()
    };
    let servers = join_all(["ada", "bob", "cleo", "dan"].map(open)).await;
    let made: Vec<_> = servers.iter().filter_map(Server::first_account).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(backend.count("accounts").await, 1);
    assert_eq!(backend.count("signing_keys").await, 1);
    let name = made[0].name.clone();
    let password = made[0].password.expose_secret().to_owned();
    let servers: Vec<_> = servers.into_iter().map(Running::new).collect();
    for issuing in &servers {
        let token = issuing.token(name.as_str(), &password).await;
        for verifying in &servers {
            assert_eq!(verifying.claims(&token).await["username"], name.as_str());
        }
    }
}

async fn a_given_first_password_is_used_and_not_told(backend: &Backend) {
    let mut config = backend.config();
    config.first_account = "root".parse().unwrap();
    let server = Server::open(config).await.unwrap();
    assert!(server.first_account().is_none());
    Running::new(server).token("root", FIRST_PASSWORD).await;
}

async fn a_restart_keeps_accounts_and_tokens(backend: &Backend) {
    let mut config = backend.config();
    config.first_password = None;
    let server = Server::open(config.clone()).await.unwrap();
    let password = server.first_account().unwrap().password.expose_secret().to_owned();
    let server = Running::new(server);
    let token = server.token("admin", &password).await;
    server.stop().await;

    config.first_account = "another".parse().unwrap();
    // Not even where the very first account is gone.
    backend.execute("UPDATE accounts SET id = 7").await;
    let server = Server::open(config).await.unwrap();
    assert!(server.first_account().is_none());
    assert_eq!(backend.count("accounts").await, 1);
    let server = Running::new(server);
    assert_eq!(server.claims(&token).await["username"], "admin");
    server.token("admin", &password).await;
}

async fn at_the_end_it_stops_listening(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let request = || server.request(Method::GET, "/healthz");
    assert_eq!(request().send().await.unwrap().status(), StatusCode::OK);
    let late = request();
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5), "an idle connection held it up");
    assert!(late.send().await.unwrap_err().is_connect());
}

async fn a_taken_address_is_named(backend: &Backend) {
    let server = Server::open(backend.config()).await.unwrap();
    let mut config = backend.config();
    config.listen = server.address();
    let Err(error) = Server::open(config).await else { panic!("two on one address") };
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    assert!(error.to_string().contains(&server.address().to_string()), "{error}");
}
