//! An auth for tests: it signs with a key made on the spot and serves the public half.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;
use warp::{Filter, Reply, http::StatusCode, reply::with_status};

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
        let now = jiff::Timestamp::now().as_second();
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let claims = json!({
            "iss": "audio-converter", "aud": "audio-converter", "sub": user, "role": "user",
            "nbf": now, "exp": now + 600,
        });
        let encode = |value: &Value| BASE64.encode(value.to_string());
        let content = format!("{}.{}", encode(&header), encode(&claims));
        format!("{content}.{}", BASE64.encode(self.key.sign(content.as_bytes())))
    }

    fn jwk(&self) -> Value {
        let x = BASE64.encode(self.key.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x})
    }
}

/// Serves the signer's key and a `/login` that knows one password; returns how often the keys were
/// fetched.
pub(crate) fn serve(listener: TcpListener, signer: &Signer) -> Arc<AtomicUsize> {
    let fetched = Arc::<AtomicUsize>::default();
    let (keys, count) = (
        json!({"keys": [signer.jwk(), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]}),
        fetched.clone(),
    );
    let keys = warp::path!(".well-known" / "jwks.json").map(move || {
        count.fetch_add(1, Ordering::Relaxed);
        warp::reply::json(&keys).into_response()
    });
    let login = warp::path!("login").and(warp::post()).and(warp::header("authorization"));
    let login = login.map(|credentials: String| {
        let status = match credentials.as_str() {
            "Basic YWRhOmh1c2g=" => return "the-token".into_response(),
            "Basic YnVzeTpidXN5" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        with_status("auth's own words", status).into_response()
    });
    tokio::spawn(warp::serve(keys.or(login)).incoming(listener).run());
    fetched
}

/// An address at which nothing listens, for now.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
