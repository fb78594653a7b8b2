//! Tokens that nobody issued. Each gets the same 401, whatever is wrong with it.

use crate::{
    backend::{Backend, FIRST_PASSWORD, StolenKey},
    client::{Running, problem},
    on_both,
};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashSet;

on_both! {
    every_forged_token_gets_one_answer,
    a_token_of_a_megabyte_does_not_even_get_in,
    the_published_key_verifies_tokens,
}

/// Everything a forger can have: a good token, and for some forgeries even the key itself.
struct Forger {
    good: String,
    claims: Value,
    key: StolenKey,
}

impl Forger {
    async fn new(server: &Running, backend: &Backend) -> Self {
        let good = server.token("admin", FIRST_PASSWORD).await;
        let claims = server.claims(&good).await;
        Self { good, claims, key: backend.steal_key().await }
    }

    fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.key.kid})
    }

    /// Signs any text as header and claims with the stolen key.
    fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let pair = Ed25519KeyPair::from_pkcs8(&self.key.private_key).unwrap();
        let signature = BASE64.encode(pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.signed(&self.header().to_string(), &claims.to_string())
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header[name] = value;
        self.signed(&header.to_string(), &self.claims.to_string())
    }

    /// Signed with the public key as a shared secret, which everybody knows.
    fn confused(&self, secret: &[u8]) -> String {
        let mut header = Header::new(Algorithm::HS256);
        (header.typ, header.kid) = (Some("at+jwt".to_owned()), Some(self.key.kid.clone()));
        encode(&header, &self.claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    fn unsigned(&self, algorithm: &str) -> String {
        let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": self.key.kid}).to_string();
        format!("{}.{}.", BASE64.encode(header), BASE64.encode(self.claims.to_string()))
    }

    /// The good token with other claims under its signature.
    fn tampered(&self) -> String {
        let mut claims = self.claims.clone();
        claims["username"] = json!("root");
        let parts: Vec<_> = self.good.split('.').collect();
        format!("{}.{}.{}", parts[0], BASE64.encode(claims.to_string()), parts[2])
    }

    fn resigned(&self, signature: &[u8]) -> String {
        let (message, _) = self.good.rsplit_once('.').unwrap();
        format!("{message}.{}", BASE64.encode(signature))
    }

    fn by_a_stranger(&self) -> String {
        let stranger = Ed25519KeyPair::generate().unwrap();
        let (message, _) = self.good.rsplit_once('.').unwrap();
        self.resigned(stranger.sign(message.as_bytes()).as_ref())
    }

    fn all(&self) -> Vec<(&'static str, String)> {
        let (iat, claims) = (self.claims["iat"].as_u64().unwrap(), self.claims.to_string());
        let twice = claims.replacen('{', "{\"username\":\"root\",", 1);
        vec![
            ("none", self.unsigned("none")),
            ("no signature", self.unsigned("EdDSA")),
            ("confused with the public key", self.confused(&self.key.public_key)),
            (
                "confused with its text",
                self.confused(BASE64.encode(&self.key.public_key).as_bytes()),
            ),
            ("confused with nothing", self.confused(b"")),
            ("another audience", self.with_claim("aud", json!("somebody"))),
            ("another issuer", self.with_claim("iss", json!("somebody"))),
            ("expired", self.with_claim("exp", json!(iat - 60))),
            ("of the future", self.with_claim("nbf", json!(iat + 600))),
            ("a claim twice", self.signed(&self.header().to_string(), &twice)),
            ("of an epoch to come", self.with_claim("epoch", json!(1))),
            ("of an epoch of before", self.with_claim("epoch", json!(-1))),
            ("an epoch that is none", self.with_claim("epoch", json!(1e99))),
            ("of nobody", self.with_claim("sub", json!("nobody"))),
            ("another type", self.with_header("typ", json!("JWT"))),
            ("another key's id", self.with_header("kid", json!("x' OR '1'='1"))),
            (
                "its own key",
                self.with_header("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
            ),
            ("critical", self.with_header("crit", json!(["exp"]))),
            ("tampered", self.tampered()),
            ("zero signature", self.resigned(&[0; 64])),
            ("a stranger's signature", self.by_a_stranger()),
            ("cut off", self.good[..self.good.len() - 1].to_owned()),
            ("longer", format!("{}A", self.good)),
            ("nothing", String::new()),
            ("no token", "a.b.c".to_owned()),
            ("100 KB", format!("{}{}", self.good, "A".repeat(100_000))),
            ("100 KB of claims", self.with_claim("pad", json!("x".repeat(100_000)))),
        ]
    }
}

async fn every_forged_token_gets_one_answer(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let forger = Forger::new(&server, backend).await;
    // The forger's tools work: what is signed without a change is good.
    server.claims(&forger.signed(&forger.header().to_string(), &forger.claims.to_string())).await;
    let mut bodies = HashSet::new();
    for (what, token) in forger.all() {
        let answer = server.validate(&token).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        bodies.insert(problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await);
    }
    let bare = server.request(Method::POST, "/validate").send().await.unwrap();
    bodies.insert(problem(bare, StatusCode::UNAUTHORIZED, "unauthorized").await);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

async fn a_token_of_a_megabyte_does_not_even_get_in(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let token = server.token("admin", FIRST_PASSWORD).await;
    let huge = format!("{token}{}", "A".repeat(1_000_000));
    // The HTTP library has its own limit for headers and hangs up at it.
    let request = server.request(Method::POST, "/validate").bearer_auth(huge);
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    server.claims(&token).await;
}

async fn the_published_key_verifies_tokens(backend: &Backend) {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
    let server = Running::open(backend.config()).await;
    let answer = server.request(Method::GET, "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    assert_eq!(answer.headers()["content-type"], "application/json");
    let keys: JwkSet = answer.json().await.unwrap();
    let token = server.token("admin", FIRST_PASSWORD).await;
    let header = decode_header(&token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&["audio-converter"]);
    let claims = decode::<Value>(&token, &key, &rules).unwrap().claims;
    assert_eq!(claims["username"], "admin");
}
