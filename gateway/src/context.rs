//! What every handler works with, and the questions that several of them ask.

use crate::{
    HttpConfig,
    auth::Auth,
    error::Error,
    forecast,
    identity::{Identity, Verifier},
    limits::Ledger,
    watch::Watched,
};
use domain::{Conversion, Role, Video};
use queue::Queue;
use std::{str::FromStr, sync::Arc};
use storage::Storage;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// Everything that a request may touch.
pub(crate) struct Context {
    pub(crate) http: HttpConfig,
    pub(crate) storage: Storage,
    pub(crate) queue: Queue,
    pub(crate) verifier: Verifier,
    pub(crate) auth: Auth,
    /// One permit for each upload in flight.
    pub(crate) uploads: Semaphore,
    /// What uploads in flight have reserved.
    pub(crate) ledger: Ledger,
    /// What stands before a waiting conversion.
    pub(crate) forecast: forecast::Known,
    /// What clients wait for.
    pub(crate) watched: Watched,
    /// Work that must end although its request may be gone.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the server takes no further requests: nobody is kept waiting for news.
    pub(crate) stopping: CancellationToken,
}

impl Context {
    pub(crate) fn new(
        http: HttpConfig,
        storage: Storage,
        queue: Queue,
    ) -> Result<Arc<Self>, reqwest::Error> {
        let auth = Auth::new(http.auth_url.clone())?;
        Ok(Arc::new(Self {
            verifier: Verifier::new(&auth, http.revocation_age),
            uploads: Semaphore::new(http.max_uploads),
            ledger: Ledger::default(),
            forecast: forecast::Known::default(),
            watched: Watched::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            http,
            storage,
            queue,
            auth,
        }))
    }

    /// Runs `work` to its end, even if the request that waits for it is dropped.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let work = self.tasks.spawn(work.in_current_span());
        work.await.map_err(|error| Error::Internal(error.to_string()))?
    }

    /// The conversion with this id, if it is theirs.
    pub(crate) async fn conversion(
        &self,
        identity: &Identity,
        id: &str,
    ) -> Result<Conversion, Error> {
        let conversion = self.storage.conversion(parse(id)?).await?;
        identity.must_own(&conversion.owner)?;
        Ok(conversion)
    }

    /// The conversion with this id, if they may look at it: an administrator may look at any.
    pub(crate) async fn any_conversion(
        &self,
        identity: &Identity,
        id: &str,
    ) -> Result<Conversion, Error> {
        match identity.role {
            Role::Admin => Ok(self.storage.conversion(parse(id)?).await?),
            Role::User => self.conversion(identity, id).await,
        }
    }

    /// The video with this id, if it is theirs.
    pub(crate) async fn video(&self, identity: &Identity, id: &str) -> Result<Video, Error> {
        let video = self.storage.video(parse(id)?).await?;
        identity.must_own(&video.owner)?;
        if video.deleted { Err(Error::NotFound) } else { Ok(video) }
    }
}

/// An id from an address; text that is no id names nothing.
pub(crate) fn parse<Id: FromStr>(id: &str) -> Result<Id, Error> {
    id.parse().map_err(|_| Error::NotFound)
}
