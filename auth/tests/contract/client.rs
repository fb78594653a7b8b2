//! A server that runs, and a client that talks to it.

use auth::{Config, Error, Server};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
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

    /// A login as the gateway passes it on.
    pub(crate) async fn login_from(&self, address: &str, name: &str, password: &str) -> Response {
        let request = self.request(Method::POST, "/login").basic_auth(name, Some(password));
        request.header("x-client-address", address).send().await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        let mut request = self.request(method, path);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        self.send(Method::GET, path, token, None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Response {
        self.send(Method::POST, path, token, Some(body)).await
    }

    /// Adds a user with the password `a password`, as the administrator of this token.
    pub(crate) async fn add(&self, admin: &str, name: &str, role: &str) {
        let user = json!({"name": name, "password": "a password", "role": role});
        let answer = self.post("/v1/users", admin, user).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{name}");
    }

    pub(crate) async fn patch(&self, admin: &str, name: &str, change: Value) -> Response {
        self.send(Method::PATCH, &format!("/v1/users/{name}"), admin, Some(change)).await
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
