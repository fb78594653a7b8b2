//! Auth's public keys, fetched when a token names one that is not known yet and looked at again
//! every five minutes. With auth away the known keys stay in use.

use crate::{
    auth::Auth,
    error::Error,
    kept::{Kept, Known},
};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How long keys are used before they are fetched again; auth announces a new one longer before.
const FRESH: Duration = Duration::from_secs(300);
/// Shortest time between two fetches: tokens with invented key names must not flood auth.
const PAUSE: Duration = Duration::from_secs(30);
/// The same while no key is known at all, since nobody can be let in until then.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

type Set = HashMap<String, Arc<DecodingKey>>;

/// The keys by their names.
pub(crate) struct Keys(Kept<Set>);

impl Keys {
    pub(crate) fn new(auth: Auth) -> Self {
        Self(Kept::new(auth, "/.well-known/jwks.json", usable))
    }

    /// The key of this name.
    pub(crate) async fn find(&self, kid: &str) -> Result<Arc<DecodingKey>, Error> {
        let known = self.0.known();
        if let Some(key) = key(&known, kid) {
            // Nobody waits for newer keys while the old ones serve.
            let is_old = |known: &Known<Set>| !known.is_younger(FRESH) && known.rested(PAUSE);
            if is_old(&known) {
                drop(self.0.refresh(is_old));
            }
            return Ok(key);
        }
        let may_fetch = |known: &Known<Set>| {
            known.rested(if known.value.is_some() { PAUSE } else { FIRST_PAUSE })
        };
        // A fetch that breaks off leaves things as they are.
        let _ = self.0.refresh(may_fetch).await;
        let known = self.0.known();
        match key(&known, kid) {
            Some(key) => Ok(key),
            None if known.value.is_none() => {
                Err(Error::Unavailable("auth has not given its keys yet".to_owned()))
            }
            None => Err(Error::Unauthorized),
        }
    }
}

fn key(known: &Known<Set>, kid: &str) -> Option<Arc<DecodingKey>> {
    known.value.as_ref()?.get(kid).cloned()
}

/// The named Ed25519 keys of a set. A symmetric key in it would let a public value sign.
fn usable(answer: &[u8]) -> Result<Set, serde_json::Error> {
    let set: JwkSet = serde_json::from_slice(answer)?;
    let keys = set.keys.iter().filter_map(|jwk| match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            let key = DecodingKey::from_ed_components(&key.x).ok()?;
            Some((jwk.common.key_id.clone()?, Arc::new(key)))
        }
        _ => None,
    });
    Ok(keys.collect())
}
