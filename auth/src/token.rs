//! Tokens: signed claims that say who somebody is, for a while. One algorithm, one issuer, one
//! audience, one form of header; whatever differs from what [`Keyring::issue`] writes is refused.

use crate::{Error, key::SigningKey};
use domain::{Role, UserName};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    jwk::JwkSet,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// Issuer and audience of every token.
const SYSTEM: &str = "audio-converter";
/// Ours have about 500 bytes; what is longer is not looked at.
const LONGEST: usize = 4096;
/// How far the clocks of two machines may be apart.
pub(crate) const LEEWAY_SECONDS: u64 = 30;

/// What a token says. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: UserName,
    /// The same as `sub`; the original's clients read this one.
    pub(crate) username: UserName,
    pub(crate) role: Role,
    /// The role once more, for the original's clients.
    pub(crate) admin: bool,
    pub(crate) iat: u64,
    pub(crate) nbf: u64,
    pub(crate) exp: u64,
    pub(crate) jti: Uuid,
    /// The account's epoch; void once that is higher.
    #[serde(default)]
    pub(crate) epoch: i64,
    /// The id of the API token that these claims stand for; login tokens have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Uuid>,
}

impl Claims {
    /// What a token says that is good from `now` on.
    pub(crate) fn new(
        name: UserName,
        role: Role,
        epoch: i64,
        now: u64,
        lifetime: Duration,
    ) -> Self {
        Self {
            iss: SYSTEM.to_owned(),
            aud: SYSTEM.to_owned(),
            sub: name.clone(),
            username: name,
            role,
            admin: role == Role::Admin,
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime.as_secs()),
            jti: Uuid::now_v7(),
            epoch,
            token: None,
        }
    }
}

/// Every key that is not retired: all of them verify, the newest that may sign does.
#[derive(Clone)]
pub(crate) struct Keyring {
    signing: Vec<Signer>,
    verifying: HashMap<String, DecodingKey>,
    jwks: String,
}

#[derive(Clone)]
struct Signer {
    kid: String,
    key: EncodingKey,
    signs_from: i64,
}

/// Why a token is not good.
#[derive(Debug, PartialEq)]
pub(crate) enum Bad {
    /// It names a key that is not there, or not known here yet.
    UnknownKey,
    Token,
}

impl Keyring {
    /// From all stored keys, oldest first.
    pub(crate) fn new(keys: &[SigningKey]) -> Result<Self, Error> {
        let jwks = JwkSet { keys: keys.iter().map(SigningKey::jwk).collect::<Result<_, _>>()? };
        let verifier = |key: &SigningKey| DecodingKey::from_ed_der(&key.public_key);
        let signer = |key: &SigningKey| Signer {
            kid: key.kid.clone(),
            key: EncodingKey::from_ed_der(&key.private_key),
            signs_from: key.signs_from,
        };
        Ok(Self {
            signing: keys.iter().map(signer).collect(),
            verifying: keys.iter().map(|key| (key.kid.clone(), verifier(key))).collect(),
            jwks: serde_json::to_string(&jwks)
                .map_err(|cause| Error::Internal(cause.to_string()))?,
        })
    }

    /// The public keys as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs the claims at this time, in milliseconds since 1970.
    pub(crate) fn issue(&self, claims: &Claims, now: i64) -> Result<String, Error> {
        let ready = self.signing.iter().rev().find(|signer| signer.signs_from <= now);
        // Where the clock is behind the one that made the first key, that one signs all the same.
        let signer = ready.or(self.signing.first());
        let signer = signer.ok_or_else(|| Error::Internal("there is no key".to_owned()))?;
        let token = encode(&header(&signer.kid), claims, &signer.key);
        token.map_err(|cause| Error::Internal(format!("cannot sign a token: {cause}")))
    }

    /// The claims of a token that is good now.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, Bad> {
        if token.len() > LONGEST {
            return Err(Bad::Token);
        }
        let given = decode_header(token).map_err(|_| Bad::Token)?;
        let kid = given.kid.as_deref().ok_or(Bad::Token)?;
        let (kid, key) = self.verifying.get_key_value(kid).ok_or(Bad::UnknownKey)?;
        // The whole header must be ours: no other key, algorithm, type or extension gets further.
        if given != header(kid) {
            return Err(Bad::Token);
        }
        decode::<Claims>(token, key, &rules()).map(|token| token.claims).map_err(|_| Bad::Token)
    }
}

fn header(kid: &str) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(kid.to_owned());
    header
}

fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    rules.set_issuer(&[SYSTEM]);
    rules.set_audience(&[SYSTEM]);
    rules.validate_nbf = true;
    rules.leeway = LEEWAY_SECONDS;
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::get_current_timestamp;
    use serde_json::{Value, json};

    fn keyring() -> Keyring {
        let keys = [1, 2].map(|generation| SigningKey::generate(generation, Duration::ZERO));
        Keyring::new(&keys.map(Result::unwrap)).unwrap()
    }

    fn claims(from: u64) -> Claims {
        Claims::new("ada".parse().unwrap(), Role::Admin, 7, from, Duration::from_secs(60))
    }

    fn altered(keyring: &Keyring, change: impl FnOnce(&mut Value)) -> Option<Claims> {
        let mut claims = json!(claims(get_current_timestamp()));
        change(&mut claims);
        let Signer { kid, key, .. } = &keyring.signing[1];
        keyring.verify(&encode(&header(kid), &claims, key).unwrap()).ok()
    }

    #[test]
    fn what_is_issued_is_verified() {
        let (keyring, claims) = (keyring(), claims(get_current_timestamp()));
        let token = keyring.issue(&claims, i64::MAX).unwrap();
        assert_eq!(keyring.verify(&token), Ok(claims));
        assert!(token.len() < LONGEST / 4, "{} bytes", token.len());
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        let (keyring, now) = (keyring(), get_current_timestamp());
        let token = |from| keyring.issue(&claims(from), i64::MAX).unwrap();
        let verified = |from| keyring.verify(&token(from)).is_ok();
        assert!(verified(now - 80) && verified(now + 20));
        assert!(!verified(now - 100), "expired 40 s ago");
        assert!(!verified(now + 40), "not good before 40 s from now");
    }

    #[test]
    fn altered_claims_are_refused() {
        let keyring = keyring();
        assert!(altered(&keyring, |_| {}).is_some());
        for name in ["exp", "nbf", "iat", "iss", "aud", "sub", "username", "role", "jti"] {
            let without = altered(&keyring, |claims| {
                claims.as_object_mut().unwrap().remove(name);
            });
            assert_eq!(without, None, "without {name}");
        }
        let wrong = [
            ("iss", json!("somebody")),
            ("aud", json!("somebody")),
            ("aud", json!([SYSTEM, "somebody"])),
            ("exp", json!("tomorrow")),
            ("role", json!("root")),
            ("sub", json!("a:b")),
        ];
        for (name, value) in wrong {
            let changed = altered(&keyring, |claims| claims[name] = value.clone());
            assert_eq!(changed, None, "{name} = {value}");
        }
    }

    #[test]
    fn other_headers_are_refused() {
        let (keyring, claims) = (keyring(), claims(get_current_timestamp()));
        let changes: [fn(&mut Header); 7] = [
            |header| header.typ = Some("JWT".to_owned()),
            |header| header.typ = None,
            |header| header.kid = None,
            |header| header.kid = Some("../../dev/null".to_owned()),
            |header| header.crit = Some(vec!["b64".to_owned()]),
            |header| header.jku = Some("https://example.org/keys".to_owned()),
            |header| header.extras.insert("b64", false),
        ];
        for change in changes {
            let Signer { kid, key, .. } = &keyring.signing[1];
            let mut header = header(kid);
            change(&mut header);
            let token = encode(&header, &claims, key).unwrap();
            assert!(keyring.verify(&token).is_err(), "{header:?}");
        }
    }

    #[test]
    fn every_generation_verifies_and_strangers_do_not() {
        let old = SigningKey::generate(1, Duration::ZERO).unwrap();
        let before = Keyring::new(std::slice::from_ref(&old)).unwrap();
        let after = [old, SigningKey::generate(2, Duration::ZERO).unwrap()];
        let after = Keyring::new(&after).unwrap();
        let claims = claims(get_current_timestamp());
        assert!(after.verify(&before.issue(&claims, i64::MAX).unwrap()).is_ok());
        let unknown = before.verify(&after.issue(&claims, i64::MAX).unwrap());
        assert_eq!(unknown, Err(Bad::UnknownKey));
    }

    #[test]
    fn a_key_signs_when_its_time_has_come() {
        let old = SigningKey::generate(1, Duration::ZERO).unwrap();
        let new = SigningKey::generate(2, Duration::from_secs(600)).unwrap();
        let (old_kid, new_kid) = (old.kid.clone(), new.kid.clone());
        let from = new.signs_from;
        let keyring = Keyring::new(&[old, new]).unwrap();
        let claims = claims(get_current_timestamp());
        let kid = |now| decode_header(keyring.issue(&claims, now).unwrap()).unwrap().kid.unwrap();
        assert_eq!((kid(from - 1), kid(from)), (old_kid.clone(), new_kid));
        assert_eq!(kid(0), old_kid, "before any of them");
        assert!(keyring.jwks().contains(&kid(from)), "published before it signs");
    }

    #[test]
    fn only_public_halves_are_published() {
        let keyring = keyring();
        let jwks: Value = serde_json::from_str(keyring.jwks()).unwrap();
        let key = jwks["keys"][1].as_object().unwrap();
        assert_eq!(key["kid"], keyring.signing[1].kid.as_str());
        let fields: Vec<_> = key.keys().map(String::as_str).collect();
        assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"]);
    }
}
