//! Something of auth's that is fetched when it is needed and then kept: its keys, its revocations.
//! Nothing runs while nobody asks. There is one fetch at a time, which no client can break off; with
//! auth away, what is known stays in use.

use crate::{
    auth::{self, Auth},
    error::Error,
};
use http::Method;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::timeout};
use tracing::Instrument;

/// Longest fetch; a request may be waiting.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer that is read, in bytes: two keys take 400, a revocation at most 300.
const LONGEST_ANSWER: usize = 8 << 20;

/// What stands at one path of auth.
pub(crate) struct Kept<T>(Arc<Inner<T>>);

struct Inner<T> {
    auth: Auth,
    path: &'static str,
    read: fn(&[u8]) -> Result<T, serde_json::Error>,
    known: RwLock<Arc<Known<T>>>,
    fetching: tokio::sync::Mutex<()>,
}

/// What is known of it, and since when.
pub(crate) struct Known<T> {
    pub(crate) value: Option<Arc<T>>,
    /// When the fetch of this value began.
    fetched: Option<Instant>,
    /// When the last fetch began, or ended where it failed.
    tried: Option<Instant>,
    failing: bool,
}

impl<T> Known<T> {
    /// Whether there is a value that is younger than this.
    pub(crate) fn is_younger(&self, age: Duration) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < age)
    }

    /// Whether there was no fetch for this long, successful or not.
    pub(crate) fn rested(&self, pause: Duration) -> bool {
        self.tried.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(crate) fn new(
        auth: Auth,
        path: &'static str,
        read: fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Self {
        let known = Known { value: None, fetched: None, tried: None, failing: false };
        let (known, fetching) = (RwLock::new(Arc::new(known)), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { auth, path, read, known, fetching }))
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Arc<Known<T>> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches if it is `due`, after the fetch that may be under way. The end can be waited for.
    pub(crate) fn refresh(
        &self,
        due: impl Fn(&Known<T>) -> bool + Send + 'static,
    ) -> JoinHandle<()> {
        let kept = Self(self.0.clone());
        let work = async move {
            let _one = kept.0.fetching.lock().await;
            if due(&kept.known()) {
                kept.fetch().await;
            }
        };
        tokio::spawn(work.in_current_span())
    }

    async fn fetch(&self) {
        let (began, known, path) = (Instant::now(), self.known(), self.0.path);
        let answer = timeout(FETCH_TIMEOUT, self.0.ask()).await;
        let answer =
            answer.unwrap_or_else(|_| Err(Error::Unavailable("auth is too slow".to_owned())));
        let known = match answer {
            Ok(value) => {
                if known.failing {
                    tracing::info!("auth gives {path} again");
                }
                let at = Some(began);
                Known { value: Some(Arc::new(value)), fetched: at, tried: at, failing: false }
            }
            Err(error) => {
                // Told once: every request until auth is back would say the same.
                if !known.failing {
                    tracing::warn!(error = %error, "auth does not give {path}; what is known of it stays in use");
                }
                let (value, fetched) = (known.value.clone(), known.fetched);
                Known { value, fetched, tried: Some(Instant::now()), failing: true }
            }
        };
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }
}

impl<T> Inner<T> {
    async fn ask(&self) -> Result<T, Error> {
        let answer = auth::send(self.auth.request(Method::GET, self.path, "")).await?;
        let answer =
            answer.error_for_status().map_err(|error| Error::Unavailable(error.to_string()))?;
        let body = auth::short(answer, LONGEST_ANSWER).await?;
        (self.read)(&body).map_err(|error| Error::Unavailable(error.to_string()))
    }
}
