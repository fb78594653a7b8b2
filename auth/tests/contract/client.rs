//! A server that runs, and a client that talks to it.

use auth::{Config, Error, Server};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Running {
    base: String,
    client: Client,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) async fn open(config: Config) -> Self {
        Self::new(Server::open(config).await.unwrap())
    }

    pub(crate) fn new(server: Server) -> Self {
        let shutdown = CancellationToken::new();
        Self {
            base: format!("http://{}", server.address()),
            client: Client::new(),
            shutdown: shutdown.clone(),
            served: tokio::spawn(server.run(shutdown)),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Response {
        let request = self.request(Method::POST, "/login").basic_auth(name, Some(password));
        request.send().await.unwrap()
    }

    pub(crate) async fn token(&self, name: &str, password: &str) -> String {
        let answer = self.login(name, password).await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        answer.text().await.unwrap()
    }

    pub(crate) async fn validate(&self, token: &str) -> Response {
        let request = self.request(Method::POST, "/validate").bearer_auth(token);
        request.send().await.unwrap()
    }

    pub(crate) async fn claims(&self, token: &str) -> Value {
        let answer = self.validate(token).await;
        assert_eq!(answer.status(), StatusCode::OK, "{token}");
        answer.json().await.unwrap()
    }

    /// Ends the server and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.served.await.unwrap().unwrap();
    }
}

/// The body of a problem, checked for its form.
pub(crate) async fn problem(answer: Response, status: StatusCode, code: &str) -> String {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["code"], code, "{text}");
    assert_eq!(body["status"], status.as_u16(), "{text}");
    assert_eq!(body["type"], "about:blank", "{text}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{text}");
    text
}
