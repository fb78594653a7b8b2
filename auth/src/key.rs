//! The keys that sign tokens: Ed25519 pairs in the database, the same for every process over it.
//! Each is published before it signs, signs until the next one does, and verifies until the last
//! token that it signed has expired. A generation is a primary key, so of several processes that
//! make the next one at once, one wins and the others use its key.

use crate::{
    Error,
    database::{Database, is_taken, now, on, schema::signing_keys},
    token::LEEWAY_SECONDS,
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use std::time::Duration;

/// The most keys at a time, so that their set stays small enough for every verifier.
const MOST: usize = 100;

/// A key pair as it is stored.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
pub(crate) struct SigningKey {
    pub(crate) generation: i64,
    /// The RFC 7638 thumbprint of the public key.
    pub(crate) kid: String,
    /// PKCS#8.
    pub(crate) private_key: Vec<u8>,
    /// The 32 bytes of the public key.
    pub(crate) public_key: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) signs_from: i64,
}

impl SigningKey {
    /// A new key pair that signs after `lead`.
    pub(crate) fn generate(generation: i64, lead: Duration) -> Result<Self, Error> {
        let unusable = |_| Error::Internal("cannot make a key pair".to_owned());
        let private_key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(unusable)?;
        let pair = Ed25519KeyPair::from_pkcs8(private_key.as_ref())
            .map_err(|cause| Error::Internal(format!("cannot use a new key pair: {cause}")))?;
        let public_key = pair.public_key().as_ref().to_vec();
        let thumbprint = bare_jwk(&public_key)?.thumbprint(ThumbprintHash::SHA256);
        let created_at = now();
        Ok(Self {
            generation,
            kid: thumbprint.map_err(|cause| Error::Internal(cause.to_string()))?,
            private_key: private_key.as_ref().to_vec(),
            public_key,
            created_at,
            signs_from: created_at.saturating_add(milliseconds(lead)),
        })
    }

    /// The public half, as it is published.
    pub(crate) fn jwk(&self) -> Result<Jwk, Error> {
        let mut jwk = bare_jwk(&self.public_key)?;
        jwk.common.key_id = Some(self.kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(jwk)
    }
}

// Made from the public key: out of a private one the library takes only the older PKCS#8.
fn bare_jwk(public_key: &[u8]) -> Result<Jwk, Error> {
    Jwk::from_decoding_key(&DecodingKey::from_ed_der(public_key), Some(Algorithm::EdDSA))
        .map_err(|cause| Error::Internal(format!("a public key is not usable: {cause}")))
}

/// Every key that is not retired, oldest first; makes the first one where there is none.
pub(crate) async fn load_or_make(
    database: &Database,
    lifetime: Duration,
) -> Result<Vec<SigningKey>, Error> {
    let keys = load(database, lifetime).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    add(database, &SigningKey::generate(1, Duration::ZERO)?).await?;
    load(database, lifetime).await
}

/// Every key that is not retired, oldest first. Tokens are good for `lifetime`.
pub(crate) async fn load(
    database: &Database,
    lifetime: Duration,
) -> Result<Vec<SigningKey>, Error> {
    let ordered = signing_keys::table.order(signing_keys::generation);
    let mut keys: Vec<SigningKey> =
        on!(database, |c| ordered.select(SigningKey::as_select()).load(&mut c))?;
    keys.drain(..retired(&keys, lifetime, now()));
    Ok(keys)
}

/// Makes the next key after these and removes the retired ones. Where another process makes it at
/// the same moment, that one's stays.
pub(crate) async fn make_next(
    database: &Database,
    keys: &[SigningKey],
    lead: Duration,
) -> Result<(), Error> {
    if keys.len() >= MOST {
        return Err(Error::TooManyKeys);
    }
    let newest = keys.last().map_or(0, |key| key.generation);
    add(database, &SigningKey::generate(newest + 1, lead)?).await?;
    let oldest = keys.first().map_or(0, |key| key.generation);
    let retired = diesel::delete(signing_keys::table.filter(signing_keys::generation.lt(oldest)));
    on!(database, |c| retired.execute(&mut c))?;
    Ok(())
}

async fn add(database: &Database, key: &SigningKey) -> Result<(), Error> {
    let insert = diesel::insert_into(signing_keys::table).values(key);
    match on!(database, |c| insert.execute(&mut c)) {
        Err(cause) if !is_taken(&cause) => Err(cause.into()),
        _ => Ok(()),
    }
}

/// How many of the oldest keys have no token left to verify: the next one has been signing for a
/// token's lifetime, and clocks differ.
fn retired(keys: &[SigningKey], lifetime: Duration, now: i64) -> usize {
    let last = milliseconds(lifetime + 2 * Duration::from_secs(LEEWAY_SECONDS));
    let newer = keys.iter().skip(1);
    newer.take_while(|next| next.signs_from.saturating_add(last) < now).count()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_retires_when_its_last_token_has_expired() {
        let keys = [0, 1_000_000, 9_000_000].map(|signs_from| SigningKey {
            signs_from,
            ..SigningKey::generate(1, Duration::ZERO).unwrap()
        });
        let lifetime = Duration::from_secs(1_000);
        // The next key signs from 1000 s on; tokens of before are good for 1000 s, and the leeway.
        assert_eq!(retired(&keys, lifetime, 2_060_000), 0);
        assert_eq!(retired(&keys, lifetime, 2_060_001), 1);
        assert_eq!(retired(&keys, lifetime, i64::MAX), 2, "the newest never does");
        assert_eq!(retired(&keys[..1], lifetime, i64::MAX), 0);
    }
}
