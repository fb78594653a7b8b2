//! The keys that sign tokens: Ed25519 pairs in the database, the same for every process over it.
//! The newest generation signs, and every generation verifies. A generation is a primary key, so
//! of several processes that make the next one at once, one wins and the others use its key.

use crate::{
    Error,
    database::{Database, on, schema::signing_keys},
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use diesel::{
    Insertable, QueryDsl, Queryable, Selectable, SelectableHelper,
    result::{DatabaseErrorKind, Error as QueryError},
};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};

/// A key pair as it is stored.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
pub(crate) struct SigningKey {
    generation: i64,
    /// The RFC 7638 thumbprint of the public key.
    pub(crate) kid: String,
    /// PKCS#8.
    pub(crate) private_key: Vec<u8>,
    /// The 32 bytes of the public key.
    pub(crate) public_key: Vec<u8>,
    created_at: i64,
}

impl SigningKey {
    /// A new key pair.
    pub(crate) fn generate(generation: i64) -> Result<Self, Error> {
        let unusable = |_| Error::Internal("cannot make a key pair".to_owned());
        let private_key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(unusable)?;
        let pair = Ed25519KeyPair::from_pkcs8(private_key.as_ref())
            .map_err(|cause| Error::Internal(format!("cannot use a new key pair: {cause}")))?;
        let public_key = pair.public_key().as_ref().to_vec();
        let thumbprint = bare_jwk(&public_key)?.thumbprint(ThumbprintHash::SHA256);
        Ok(Self {
            generation,
            kid: thumbprint.map_err(|cause| Error::Internal(cause.to_string()))?,
            private_key: private_key.as_ref().to_vec(),
            public_key,
            created_at: Timestamp::now().as_millisecond(),
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

/// Every key, oldest first; makes the first one where there is none.
pub(crate) async fn load_or_make(database: &Database) -> Result<Vec<SigningKey>, Error> {
    let keys = load(database).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let key = SigningKey::generate(1)?;
    let insert = diesel::insert_into(signing_keys::table).values(&key);
    match on!(database, |c| insert.execute(&mut c)) {
        Ok(_) | Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {}
        Err(cause) => return Err(cause.into()),
    }
    load(database).await
}

async fn load(database: &Database) -> Result<Vec<SigningKey>, Error> {
    let ordered = signing_keys::table.order(signing_keys::generation);
    Ok(on!(database, |c| ordered.select(SigningKey::as_select()).load(&mut c))?)
}
