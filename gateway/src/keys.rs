//! Auth's public keys, fetched when a token names one that is not known yet and looked at again
//! every five minutes. With auth away the known keys stay in use.

use crate::error::Error;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use reqwest::{Client, Response, Url};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// How long keys are used before they are fetched again; auth announces a new one longer before.
const FRESH: Duration = Duration::from_secs(300);
/// Shortest time between two fetches: tokens with invented key names must not flood auth.
const PAUSE: Duration = Duration::from_secs(30);
/// The same while no key is known at all, since nobody can be let in until then.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for the keys; a request may be waiting.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer of auth that is read, in bytes; two keys take 400.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A cache of the keys at one address.
pub(crate) struct Keys {
    auth: Client,
    url: Url,
    known: RwLock<Arc<Known>>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < FRESH)
    }

    fn may_fetch(&self) -> bool {
        let pause = if self.fetched.is_some() { PAUSE } else { FIRST_PAUSE };
        self.tried.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl Keys {
    /// Nothing is fetched before the first token comes: auth may start later than the gateway.
    pub(crate) fn new(auth: Client, mut url: Url) -> Self {
        url.set_path("/.well-known/jwks.json");
        Self { auth, url, known: RwLock::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key of this name.
    pub(crate) async fn find(&self, kid: &str) -> Result<Arc<DecodingKey>, Error> {
        let known = self.known();
        if let Some(key) = known.keys.get(kid) {
            // One request looks for newer keys; the others need not wait for it.
            if !known.is_fresh()
                && let Ok(_one) = self.fetching.try_lock()
            {
                self.refresh().await;
            }
            return Ok(key.clone());
        }
        let _one = self.fetching.lock().await;
        self.refresh().await;
        let known = self.known();
        match known.keys.get(kid) {
            Some(key) => Ok(key.clone()),
            None if known.fetched.is_none() => {
                Err(Error::Unavailable("auth has not given its keys yet".to_owned()))
            }
            None => Err(Error::Unauthorized),
        }
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self) {
        let mut known = Known::clone(&self.known());
        if !known.may_fetch() {
            return;
        }
        match tokio::time::timeout(FETCH_TIMEOUT, self.fetch()).await {
            Ok(Ok(keys)) => {
                known.keys = keys;
                known.fetched = Some(Instant::now());
            }
            Ok(Err(cause)) => tracing::warn!(error = cause, "auth's keys could not be fetched"),
            Err(_) => tracing::warn!("auth did not give its keys in time"),
        }
        known.tried = Some(Instant::now());
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<DecodingKey>>, String> {
        let answer = self.auth.get(self.url.clone()).send().await;
        let answer =
            answer.and_then(Response::error_for_status).map_err(|error| error.to_string())?;
        let set: JwkSet =
            serde_json::from_slice(&short(answer).await?).map_err(|error| error.to_string())?;
        Ok(usable(&set))
    }
}

/// The named Ed25519 keys of a set. A symmetric key in it would let a public value sign.
fn usable(set: &JwkSet) -> HashMap<String, Arc<DecodingKey>> {
    let keys = set.keys.iter().filter_map(|jwk| match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            let key = DecodingKey::from_ed_components(&key.x).ok()?;
            Some((jwk.common.key_id.clone()?, Arc::new(key)))
        }
        _ => None,
    });
    keys.collect()
}

/// The body of an answer that must be short.
pub(crate) async fn short(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err("the answer of auth is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
