//! Who asks: the one place where what a request carries becomes a user. A login token is verified
//! here with auth's public keys and its list of revocations; a personal API token is auth's to judge,
//! every time. Whatever is wrong with either, the answer is the same.

use crate::{
    auth::{self, Auth},
    error::Error,
    keys::Keys,
    revocations::Revocations,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::{Role, UserName};
use http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

/// Longest token that is looked at, in bytes; auth's are below 1 KiB.
const LONGEST_TOKEN: usize = 4096;
/// How far the clocks of auth and gateway may be apart, in seconds.
const LEEWAY: u64 = 30;
/// Both who issues the tokens and whom they are for.
const SYSTEM: &str = "audio-converter";

/// Longest list of claims that is read, in bytes.
const LONGEST_CLAIMS: usize = 64 * 1024;

/// What a request may carry to say who asks.
#[derive(Debug, PartialEq, Eq)]
enum Credential<'a> {
    /// What `POST /login` gives: a signed token.
    Login(&'a str),
    /// A personal API token: a secret that only auth knows.
    ApiToken(&'a str),
}

/// A user who has proved to be one.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) user: UserName,
    pub(crate) role: Role,
    /// The account's epoch when the token was made; below the account's own it is void.
    epoch: u64,
    kind: Kind,
}

/// How the user has proved it.
#[derive(Clone, Debug)]
enum Kind {
    Login,
    ApiToken(SecretString),
}

impl Identity {
    /// What belongs to somebody else does not exist.
    pub(crate) fn must_own(&self, owner: &UserName) -> Result<(), Error> {
        if self.user == *owner { Ok(()) } else { Err(Error::NotFound) }
    }
}

/// Turns the head of a request into an identity.
pub(crate) struct Verifier {
    keys: Keys,
    revocations: Revocations,
    auth: Auth,
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
    #[serde(default)]
    epoch: u64,
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(rename = "aud")]
    _audience: String,
}

impl Verifier {
    /// Revocations are asked for again when they are older than `revocation_age`.
    pub(crate) fn new(auth: &Auth, revocation_age: Duration) -> Self {
        Self {
            keys: Keys::new(auth.clone()),
            revocations: Revocations::new(auth.clone(), revocation_age),
            auth: auth.clone(),
        }
    }

    /// The user whose credential the request carries.
    ///
    /// # Errors
    /// `Unauthorized` for every bad credential; `Unavailable` while auth must be asked and is away.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        match credential(headers).ok_or(Error::Unauthorized)? {
            Credential::Login(token) => {
                let kid = key_id(token).ok_or(Error::Unauthorized)?;
                let key = self.keys.find(&kid).await?;
                let identity = verify(token, &key).ok_or(Error::Unauthorized)?;
                self.still_good(&identity).await?;
                Ok(identity)
            }
            Credential::ApiToken(token) => self.validate(token.into()).await,
        }
    }

    /// The administrator whose credential the request carries; `Forbidden` for everybody else.
    pub(crate) async fn administrator(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let identity = self.identify(headers).await?;
        match identity.role {
            Role::Admin => Ok(identity),
            Role::User => Err(Error::Forbidden),
        }
    }

    /// Asks again whether an identity may act, as after a long upload. That its login token has
    /// expired meanwhile does not count: it was good when the request came.
    ///
    /// # Errors
    /// `Unauthorized` once it is revoked; `Unavailable` for an API token while auth is away.
    pub(crate) async fn still_good(&self, identity: &Identity) -> Result<(), Error> {
        match &identity.kind {
            Kind::Login if self.revocations.void(&identity.user, identity.epoch).await => {
                Err(Error::Unauthorized)
            }
            Kind::Login => Ok(()),
            Kind::ApiToken(token) => self.validate(token.clone()).await.map(drop),
        }
    }

    /// Auth's word on an API token. It is never kept, so that a revoked one is void at once.
    async fn validate(&self, token: SecretString) -> Result<Identity, Error> {
        let request = self.auth.request(Method::POST, "/validate", "");
        let answer = auth::send(request.bearer_auth(token.expose_secret())).await?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_server_error() => {
                return Err(Error::Unavailable(format!("auth answered {status}")));
            }
            _ => return Err(Error::Unauthorized),
        }
        let claims = auth::short(answer, LONGEST_CLAIMS).await?;
        let claims: Claims = serde_json::from_slice(&claims)
            .map_err(|error| Error::Unavailable(format!("auth's claims: {error}")))?;
        let Claims { sub: user, role, epoch, .. } = claims;
        Ok(Identity { user, role, epoch, kind: Kind::ApiToken(token) })
    }
}

/// The credential of a request that has exactly one.
fn credential(headers: &HeaderMap) -> Option<Credential<'_>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if token.len() > LONGEST_TOKEN || !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Some(if is_api_token(token) { Credential::ApiToken(token) } else { Credential::Login(token) })
}

/// Whether it looks like an API token: `act_` and 32 bytes in base64url. A login token has dots.
fn is_api_token(token: &str) -> bool {
    token.strip_prefix("act_").is_some_and(|secret| {
        secret.len() == 43
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    })
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
    let Claims { sub: user, role, epoch, .. } = claims;
    Some(Identity { user, role, epoch, kind: Kind::Login })
}

#[cfg(test)]
mod tests;
