//! The program itself.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::Running,
    on_both,
};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
};

on_both! {
    user_add_adds_a_user_once,
    user_add_refuses_what_is_wrong,
    the_first_start_tells_the_password_once,
    keys_rotate_makes_the_next_key,
}

fn auth(backend: &Backend, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command
        .args(arguments)
        .env_clear()
        .env("AUTH_DATABASE_URL", backend.url())
        .env("AUTH_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().unwrap();
    // One that has its password from elsewhere may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn user_add_adds_a_user_once(backend: &Backend) {
    let arguments = ["user", "add", "ada", "--role", "admin"];
    let added = output(auth(backend, &arguments), "from the input\r\nanother line\n");
    assert!(added.status.success(), "{}", message(&added));
    let again = output(auth(backend, &arguments), "from the input\n");
    assert_eq!(again.status.code(), Some(1));
    assert!(message(&again).contains("already an account named ada"), "{}", message(&again));

    let mut command = auth(backend, &["user", "add", "bob"]);
    command.env("AUTH_PASSWORD", "from the environment");
    let bob = output(command, "");
    assert!(bob.status.success(), "{}", message(&bob));

    let server = Running::open(backend.config()).await;
    let claims = server.claims(&server.token("ada", "from the input").await).await;
    assert_eq!(claims["role"], "admin");
    let claims = server.claims(&server.token("bob", "from the environment").await).await;
    assert_eq!(claims["role"], "user");
    assert_eq!(backend.count("accounts").await, 2, "there were accounts, so no first one");
}

async fn user_add_refuses_what_is_wrong(backend: &Backend) {
    for (arguments, input) in [
        (["user", "add", "ada"].as_slice(), "short\n"),
        (&["user", "add", "a:b"], "a password\n"),
        (&["user", "add", "ada", "--role", "root"], "a password\n"),
    ] {
        let refused = output(auth(backend, arguments), input);
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(!message(&refused).contains("panicked"), "{}", message(&refused));
    }
}

async fn the_first_start_tells_the_password_once(backend: &Backend) {
    let first = start(backend);
    let told: Vec<_> = first.iter().filter(|line| line.contains("Password: ")).collect();
    assert_eq!(told.len(), 1, "{first:?}");
    let (_, password) = told[0].split_once("Password: ").unwrap();
    let second = start(backend);
    assert!(!second.iter().any(|line| line.contains("Password")), "{second:?}");
    Running::open(backend.config()).await.token("admin", password.trim()).await;
}

async fn keys_rotate_makes_the_next_key(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let token = server.token("admin", FIRST_PASSWORD).await;
    let rotated = output(auth(backend, &["keys", "rotate"]), "");
    assert!(rotated.status.success(), "{}", message(&rotated));
    assert!(message(&rotated).contains("it signs from 20"), "{}", message(&rotated));
    assert_eq!(backend.count("signing_keys").await, 2);
    server.claims(&token).await;
}

/// What the program says until it listens; then it is ended.
fn start(backend: &Backend) -> Vec<String> {
    let mut child = auth(backend, &[]).spawn().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said.push(line.unwrap());
        if said.last().unwrap().contains("auth is listening") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.last().is_some_and(|line| line.contains("listening")), "{said:?}");
    said
}
