//! Who asks: the one place where a token becomes a user. Tokens are verified with auth's public
//! keys, without asking auth; whatever is wrong with one, the answer is the same.

use crate::{error::Error, keys::Keys};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::{Role, UserName};
use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// Longest token that is looked at, in bytes; auth's are below 1 KiB.
const LONGEST_TOKEN: usize = 4096;
/// How far the clocks of auth and gateway may be apart, in seconds.
const LEEWAY: u64 = 30;
/// Both who issues the tokens and whom they are for.
const SYSTEM: &str = "audio-converter";

/// A user who has proved to be one.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) user: UserName,
    pub(crate) role: Role,
}

impl Identity {
    /// What belongs to somebody else does not exist.
    pub(crate) fn must_own(&self, owner: &UserName) -> Result<(), Error> {
        if self.user == *owner { Ok(()) } else { Err(Error::NotFound) }
    }
}

/// Turns the header of a request into an identity.
pub(crate) struct Verifier {
    keys: Keys,
}

/// The only header that is taken. A field that is not here (`jwk`, `crit`, `zip`..) is a refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What auth says of a user. `iss` and `aud` are single texts: a list is refused.
#[derive(Deserialize)]
struct Claims {
    sub: UserName,
    role: Role,
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(rename = "aud")]
    _audience: String,
}

impl Verifier {
    pub(crate) const fn new(keys: Keys) -> Self {
        Self { keys }
    }

    /// The user whose bearer token the request carries.
    ///
    /// # Errors
    /// `Unauthorized` for every bad token; `Unavailable` while auth has never been reached.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let token = bearer(headers).ok_or(Error::Unauthorized)?;
        let kid = key_id(token).ok_or(Error::Unauthorized)?;
        let key = self.keys.find(&kid).await?;
        verify(token, &key).ok_or(Error::Unauthorized)
    }
}

/// The token of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let fits = token.len() <= LONGEST_TOKEN;
    (fits && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

/// The name of the key that signed it, if the header is one of ours.
fn key_id(token: &str) -> Option<String> {
    let (header, _) = token.split_once('.')?;
    let header: Header =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let Header { alg, typ, kid } = header;
    let named = (1..=64).contains(&kid.len())
        && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    (named && alg == "EdDSA" && typ == "at+jwt").then_some(kid)
}

fn verify(token: &str, key: &DecodingKey) -> Option<Identity> {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.leeway = LEEWAY;
    rules.validate_nbf = true;
    rules.set_issuer(&[SYSTEM]);
    rules.set_audience(&[SYSTEM]);
    rules.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    let claims = decode::<Claims>(token, key, &rules).ok()?.claims;
    Some(Identity { user: claims.sub, role: claims.role })
}

#[cfg(test)]
mod tests;
