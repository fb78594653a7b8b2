//! Hashes passwords with Argon2id and checks them. Everything here takes tens of milliseconds and
//! 46 MiB, so it belongs on a blocking thread, behind the gate.

use crate::Error;
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier,
    Version,
};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};

/// One pass over 46 MiB: as costly to guess as more passes over less, and a block of this size goes
/// back to the system at once.
const MEMORY_KIB: u32 = 47_104;
const PASSES: u32 = 1;
const LANES: u32 = 1;

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// What an unknown user's password is checked against, so that the answer takes the same time.
/// A tag of zeros: no password has it.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=47104,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA\
                            $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The password may not be used for an account.
#[derive(Debug, thiserror::Error)]
#[error("a password has at least {SHORTEST} characters and at most {LONGEST} bytes")]
pub struct BadPassword;

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Wrong,
    /// `rehashed` is set when the stored hash was made with other parameters than ours.
    Right {
        rehashed: Option<String>,
    },
}

/// Whether an account may have this password.
pub(crate) fn acceptable(password: &SecretString) -> Result<(), BadPassword> {
    let long_enough = password.expose_secret().chars().count() >= SHORTEST;
    if long_enough && possible(password) { Ok(()) } else { Err(BadPassword) }
}

/// Whether any account can have this password; saves the work for those that cannot.
pub(crate) fn possible(password: &SecretString) -> bool {
    password.expose_secret().len() <= LONGEST
}

/// A password that nobody guesses: 20 letters and digits, 119 bits.
pub(crate) fn random() -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), 20).into()
}

/// The PHC string to store for a password.
pub(crate) fn hash(password: &SecretString) -> Result<String, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let argon2 = params.map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params));
    let argon2 = argon2.map_err(|cause| Error::Internal(cause.to_string()))?;
    let hash: PasswordHash = argon2
        .hash_password(password.expose_secret().as_bytes())
        .map_err(|cause| Error::Internal(format!("cannot hash a password: {cause}")))?;
    Ok(hash.to_string())
}

/// Checks a password against the stored hash, or against nobody's.
pub(crate) fn check(password: &SecretString, stored: Option<&str>) -> Result<Check, Error> {
    let hash = PasswordHash::new(stored.unwrap_or(NOBODYS_HASH))
        .map_err(|cause| Error::Internal(format!("a stored hash is not readable: {cause}")))?;
    let verified = Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash);
    if verified.is_err() || stored.is_none() {
        return Ok(Check::Wrong);
    }
    let rehashed = if current(&hash) { None } else { Some(self::hash(password)?) };
    Ok(Check::Right { rehashed })
}

fn current(hash: &PasswordHash) -> bool {
    let costs = |params: Params| (params.m_cost(), params.t_cost(), params.p_cost());
    hash.algorithm == ARGON2ID_IDENT
        && hash.version == Some(Version::V0x13.into())
        && Params::try_from(hash).is_ok_and(|it| costs(it) == (MEMORY_KIB, PASSES, LANES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_passes_and_no_other() {
        let stored = hash(&"correct horse".into()).unwrap();
        let right = check(&"correct horse".into(), Some(&stored)).unwrap();
        assert_eq!(right, Check::Right { rehashed: None });
        let wrong = check(&"correct horsf".into(), Some(&stored)).unwrap();
        assert_eq!(wrong, Check::Wrong);
    }

    #[test]
    fn an_older_hash_is_replaced() {
        let weak = Params::new(64, 1, 1, None).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
        let stored: PasswordHash = weak.hash_password(b"correct horse").unwrap();
        let check = check(&"correct horse".into(), Some(&stored.to_string())).unwrap();
        let Check::Right { rehashed: Some(fresh) } = check else { panic!("{check:?}") };
        assert!(current(&PasswordHash::new(&fresh).unwrap()), "{fresh}");
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs() {
        let hash = PasswordHash::new(NOBODYS_HASH).unwrap();
        assert!(current(&hash));
        assert_eq!((hash.salt.unwrap().len(), hash.hash.unwrap().len()), (16, 32));
        assert_eq!(check(&"".into(), None).unwrap(), Check::Wrong);
    }

    #[test]
    fn lengths_are_checked() {
        for good in ["12345678", "пароль12", &"x".repeat(1024)] {
            assert!(acceptable(&good.into()).is_ok(), "{good}");
        }
        for bad in ["", "1234567", &"x".repeat(1025)] {
            assert!(acceptable(&bad.into()).is_err(), "{bad}");
        }
        assert!(acceptable(&random()).is_ok());
    }
}
