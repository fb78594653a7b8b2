//! An auth for tests: it signs with a key made on the spot, serves the public half, and answers the
//! rest as it is told to.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use warp::{
    Filter, Reply,
    http::StatusCode,
    path::FullPath,
    reply::{Response, json, with_header, with_status},
};

/// A key that signs tokens.
pub(crate) struct Signer {
    key: Ed25519KeyPair,
    kid: &'static str,
}

impl Signer {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { key: Ed25519KeyPair::generate().unwrap(), kid }
    }

    /// A token for this user that is good for ten minutes.
    pub(crate) fn token(&self, user: &str) -> String {
        self.token_with(user, &json!({}))
    }

    /// The same with other claims, or further ones.
    pub(crate) fn token_with(&self, user: &str, other: &Value) -> String {
        let now = jiff::Timestamp::now().as_second();
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let mut claims = json!({
            "iss": "audio-converter", "aud": "audio-converter", "sub": user, "role": "user",
            "nbf": now, "exp": now + 600,
        });
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let encode = |value: &Value| BASE64.encode(value.to_string());
        let content = format!("{}.{}", encode(&header), encode(&claims));
        format!("{content}.{}", BASE64.encode(self.key.sign(content.as_bytes())))
    }

    fn jwk(&self) -> Value {
        let x = BASE64.encode(self.key.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x})
    }
}

/// What the gateway has asked, and what it is told.
#[derive(Default)]
pub(crate) struct Auth {
    /// How often the keys, the revocations and the validity of an API token were asked for.
    pub(crate) keys: AtomicUsize,
    pub(crate) lists: AtomicUsize,
    pub(crate) validations: AtomicUsize,
    /// The lowest epoch of each account that was revoked.
    pub(crate) epochs: Mutex<HashMap<String, u64>>,
    /// Whether the list of revocations is asked for in vain.
    pub(crate) hangs: AtomicBool,
    /// The API tokens that are good, and whose they are.
    pub(crate) api_tokens: Mutex<HashMap<String, String>>,
    /// Everything else that was asked.
    pub(crate) asked: Mutex<Vec<Asked>>,
    stop: CancellationToken,
    server: Mutex<Option<JoinHandle<()>>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Auth {
    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// Goes away, with all its connections.
    pub(crate) async fn go(&self) {
        self.stop.cancel();
        let server = self.server.lock().unwrap().take().unwrap();
        server.await.unwrap();
    }

    async fn answer(&self, asked: Asked) -> Response {
        let bearer = asked.headers.get("authorization").map(|value| value.to_str().unwrap());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        match asked.path.as_str() {
            "/revocations" => {
                self.lists.fetch_add(1, Relaxed);
                if self.hangs.load(Relaxed) {
                    std::future::pending::<()>().await;
                }
                let epochs = self.epochs.lock().unwrap();
                let items = epochs.iter().map(|(sub, epoch)| json!({"sub": sub, "epoch": epoch}));
                json(&json!({"items": items.collect::<Vec<_>>()})).into_response()
            }
            "/validate" => {
                self.validations.fetch_add(1, Relaxed);
                let users = self.api_tokens.lock().unwrap();
                match bearer.and_then(|token| users.get(token)) {
                    Some(user) => json(&json!({
                        "iss": "audio-converter", "aud": "audio-converter", "sub": user,
                        "username": user, "role": "user", "admin": false, "epoch": 0, "token": "t1",
                        "iat": 0, "nbf": 0, "exp": 4_000_000_000_u64,
                    }))
                    .into_response(),
                    None => {
                        with_status("auth's own words", StatusCode::UNAUTHORIZED).into_response()
                    }
                }
            }
            _ => {
                self.asked.lock().unwrap().push(asked.clone());
                account(&asked)
            }
        }
    }
}

/// What is asked of `/login` and for other people.
fn account(asked: &Asked) -> Response {
    let status = |status| with_status("auth's own words", status).into_response();
    match (asked.path.as_str(), asked.headers.get("authorization").map(|value| value.as_bytes())) {
        ("/login", Some(b"Basic YWRhOmh1c2g=")) => "the-token".into_response(),
        ("/login", Some(b"Basic YnVzeTpidXN5")) => {
            with_status(json(&json!({"code": "busy"})), StatusCode::SERVICE_UNAVAILABLE)
                .into_response()
        }
        ("/login", Some(b"Basic c2xvdzpzbG93")) => {
            with_header(status(StatusCode::TOO_MANY_REQUESTS), "retry-after", "17").into_response()
        }
        ("/login", _) => status(StatusCode::UNAUTHORIZED),
        ("/v1/users/long", _) => "x".repeat(70_000).into_response(),
        _ => {
            let answer = with_status(json(&json!({"made": true})), StatusCode::CREATED);
            let answer = with_header(answer, "location", "/v1/users/x");
            let answer = with_header(answer, "retry-after", "3");
            with_header(answer, "set-cookie", "inner=1").into_response()
        }
    }
}

/// Serves the signer's key and the rest.
pub(crate) fn serve(listener: TcpListener, signer: &Signer) -> Arc<Auth> {
    let auth = Arc::<Auth>::default();
    let keys = json!({"keys": [signer.jwk(), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]});
    let (this, other) = (auth.clone(), auth.clone());
    let keys = warp::path!(".well-known" / "jwks.json").map(move || {
        this.keys.fetch_add(1, Relaxed);
        json(&keys).into_response()
    });
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let parts =
        warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned());
    let rest =
        parts.and(warp::body::bytes()).then(move |method, path: FullPath, query, headers, body| {
            let auth = other.clone();
            let path = path.as_str().to_owned();
            async move { auth.answer(Asked { method, path, query, headers, body }).await }
        });
    let stop = auth.stop.clone();
    let server = warp::serve(keys.or(rest)).incoming(listener);
    let server = server.graceful(async move { stop.cancelled().await }).run();
    *auth.server.lock().unwrap() = Some(tokio::spawn(server));
    auth
}

/// An address at which nothing listens, for now.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
