//! The keys in use: a copy of what the database has, read anew when it is used and 30 seconds old,
//! and sooner for a token whose key is not known. There is no timer: who is idle reads nothing. A
//! key is known to every process before it signs, so rotating logs nobody out.

use crate::{
    Config, Error,
    caller::Caller,
    database::{Database, now},
    key::{self, SigningKey},
    problem::Refusal,
    request::{Request, answer},
    routes::Service,
    token::{Bad, Claims, Keyring},
    users::time,
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use warp::{http::StatusCode, reply::Response};

/// How old the copy gets; with a shorter lead half of that.
const FRESH: Duration = Duration::from_secs(30);
/// Shortest time between two reads for unknown keys: tokens with invented ones must not flood the
/// database.
const PAUSE: Duration = Duration::from_secs(5);

/// A signing key that has just been made.
#[derive(Debug, Serialize)]
pub struct NextKey {
    /// Its name in tokens and in the key set.
    pub kid: String,
    /// When it begins to sign.
    pub signs_from: Timestamp,
}

/// The keys of this process.
pub(crate) struct Keys {
    database: Database,
    lifetime: Duration,
    lead: Duration,
    age: Duration,
    copy: RwLock<Arc<Snapshot>>,
    reading: Mutex<()>,
}

#[derive(Clone)]
struct Snapshot {
    stored: Vec<SigningKey>,
    ring: Keyring,
    tried: Instant,
}

/// Makes the next signing key, straight in the database.
///
/// # Errors
/// [`Error::Database`], and [`Error::TooManyKeys`] when 100 are in use.
pub async fn rotate_keys(config: &Config) -> Result<NextKey, Error> {
    let database = Database::open(&config.database).await?;
    Keys::open(database, config).await?.rotate().await
}

impl Keys {
    /// Reads the keys; makes the first one where there is none.
    pub(crate) async fn open(database: Database, config: &Config) -> Result<Self, Error> {
        let lifetime = config.token_lifetime;
        let asked = Instant::now();
        let copy = Snapshot::new(key::load_or_make(&database, lifetime).await?, asked)?;
        let (lead, age) = (config.key_lead, config.key_age);
        let (copy, reading) = (RwLock::new(Arc::new(copy)), Mutex::default());
        Ok(Self { database, lifetime, lead, age, copy, reading })
    }

    /// The public keys as a JSON Web Key Set.
    pub(crate) async fn jwks(&self) -> String {
        self.fresh(self.patience()).await.ring.jwks().to_owned()
    }

    /// Signs the claims. Makes the next key first, where the newest is old.
    pub(crate) async fn issue(&self, claims: &Claims) -> Result<String, Error> {
        let mut copy = self.fresh(self.patience()).await;
        let newest = copy.stored.last().map_or(0, |key| key.created_at);
        if u128::from((now() - newest).max(0).unsigned_abs()) >= self.age.as_millis() {
            // The generation after the one seen here: many logins at once make one key.
            match key::make_next(&self.database, &copy.stored, self.lead).await {
                Ok(()) => copy = self.fresh(Duration::ZERO).await,
                Err(error) => tracing::error!(%error, "the next signing key was not made"),
            }
        }
        copy.ring.issue(claims, now())
    }

    /// The claims of a token that is good now.
    pub(crate) async fn verify(&self, token: &str) -> Option<Claims> {
        let verified = match self.fresh(self.patience()).await.ring.verify(token) {
            Err(Bad::UnknownKey) => {
                let pause = PAUSE.min(self.patience());
                self.fresh(pause).await.ring.verify(token)
            }
            verified => verified,
        };
        verified.ok()
    }

    /// Makes the next key. Of several calls at once each gets a key that is the newest then.
    pub(crate) async fn rotate(&self) -> Result<NextKey, Error> {
        let stored = key::load(&self.database, self.lifetime).await?;
        key::make_next(&self.database, &stored, self.lead).await?;
        let copy = self.fresh(Duration::ZERO).await;
        let newest = copy.stored.last();
        let newest = newest.ok_or_else(|| Error::Internal("there is no key".to_owned()))?;
        Ok(NextKey { kid: newest.kid.clone(), signs_from: time(newest.signs_from)? })
    }

    fn patience(&self) -> Duration {
        FRESH.min(self.lead / 2)
    }

    /// A copy that is at most this old, or the last one while the database is away.
    async fn fresh(&self, patience: Duration) -> Arc<Snapshot> {
        let asked = Instant::now();
        let copy = self.copy();
        if !patience.is_zero() && copy.tried.elapsed() < patience {
            return copy;
        }
        let _one = self.reading.lock().await;
        // Somebody else has perhaps read in the meantime.
        let copy = self.copy();
        if copy.tried >= asked {
            return copy;
        }
        let tried = Instant::now();
        let read = key::load(&self.database, self.lifetime).await;
        let read = read.and_then(|stored| Snapshot::new(stored, tried));
        let read = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "the signing keys could not be read; the last ones stay in use");
            Snapshot { tried, ..Snapshot::clone(&copy) }
        });
        let read = Arc::new(read);
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        read
    }

    fn copy(&self) -> Arc<Snapshot> {
        self.copy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Snapshot {
    /// `tried` is when reading them began.
    fn new(stored: Vec<SigningKey>, tried: Instant) -> Result<Self, Error> {
        Ok(Self { ring: Keyring::new(&stored)?, stored, tried })
    }
}

/// `POST /v1/keys`
pub(crate) async fn rotate(service: &Service, request: Request) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, &request.headers).await?;
    caller.must_be_admin()?;
    caller.must_have_logged_in()?;
    let key = service.keys.rotate().await?;
    tracing::info!(kid = key.kid, signs_from = %key.signs_from, "made the next signing key");
    Ok(answer(StatusCode::CREATED, &key))
}
