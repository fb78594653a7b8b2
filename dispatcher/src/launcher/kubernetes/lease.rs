//! The Lease that says which of several dispatchers acts.
//!
//! The holder writes it every two seconds. Whoever has seen it unchanged for [`TERM`] by his own clock
//! takes it over; so clocks that differ mean nothing. The holder creates no Job any more once its last
//! renewal is [`SURE`] ago, which is sooner. One that ends gives the Lease back, and the watch of the
//! others shows that at once.

use super::{super::Tenure, backoff::Growing, reason};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Error,
    api::PostParams,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use std::{
    pin::pin,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// The name of the Lease.
pub(super) const NAME: &str = "dispatcher-lease";
/// A Lease that is not renewed for so long is free.
pub(super) const TERM: Duration = Duration::from_secs(6);
/// After this long without a renewal its holder creates nothing.
const SURE: Duration = Duration::from_secs(4);
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(2);
/// Before a request that failed is made again.
const RETRY: Duration = Duration::from_millis(500);
/// For one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds the Lease when it can.
pub(super) struct Holder {
    pub(super) tenure: watch::Receiver<Tenure>,
    pub(super) trouble: watch::Receiver<Option<String>>,
    leave: CancellationToken,
    task: JoinHandle<()>,
}

impl Holder {
    /// Begins to ask for it in the name of `me`, which no other process may have at the same time.
    pub(super) fn begin(api: Api<Lease>, me: String) -> Self {
        let (sender, tenure) = watch::channel(Tenure::Elsewhere);
        let not_seen = format!("the Lease {NAME} was not seen yet");
        let (troubles, trouble) = watch::channel(Some(not_seen));
        let leave = CancellationToken::new();
        let not_before = Instant::now();
        let keeper = Keeper {
            api,
            me,
            tenure: sender,
            trouble: troubles,
            well: true,
            seen: None,
            not_before,
        };
        let task = tokio::spawn(keeper.keep(leave.clone()));
        Self { tenure, trouble, leave, task }
    }

    /// Gives it back, so that another one begins at once.
    pub(super) async fn resign(self) {
        self.leave.cancel();
        let _ = self.task.await;
    }
}

/// The Lease as it was seen last.
struct Seen {
    /// None where there is none.
    lease: Option<Lease>,
    /// When it was first seen as it is.
    at: Instant,
}

struct Keeper {
    api: Api<Lease>,
    me: String,
    tenure: watch::Sender<Tenure>,
    /// Why it is not known who has it, or why it cannot be written.
    trouble: watch::Sender<Option<String>>,
    /// Whether nothing had to be complained of since it last went well.
    well: bool,
    seen: Option<Seen>,
    /// Nothing is asked for before this time: what was asked for last has failed.
    not_before: Instant,
}

impl Keeper {
    async fn keep(mut self, leave: CancellationToken) {
        let changes = watch_object(self.api.clone(), NAME).backoff(Growing::new());
        let mut changes = pin!(changes);
        loop {
            // Nothing is asked for before it is known who has it.
            let due = self.due();
            tokio::select! {
                () = leave.cancelled() => return self.give_back().await,
                change = changes.next() => match change {
                    Some(Ok(lease)) => self.see(lease),
                    Some(Err(error)) => self.complain("watched", &reason(&error)),
                    None => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => self.ask().await,
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let seen = self.seen.as_ref()?;
        let wait = match holder(seen.lease.as_ref()) {
            _ if self.tenure.borrow().is_here() => RENEW,
            Some(other) if other != self.me => TERM,
            // Free, or left by the process that had this name before.
            _ => Duration::ZERO,
        };
        Some((seen.at + wait).max(self.not_before))
    }

    fn see(&mut self, lease: Option<Lease>) {
        self.goes_well();
        let is_mine = holder(lease.as_ref()) == Some(&self.me);
        if is_mine && self.tenure.borrow().is_here() {
            // An echo of what was written, perhaps a late one.
            return;
        }
        let version =
            |lease: Option<&Lease>| lease.and_then(|it| it.metadata.resource_version.clone());
        let known = self.seen.as_ref().map(|seen| version(seen.lease.as_ref()));
        if known != Some(version(lease.as_ref())) {
            self.seen = Some(Seen { lease, at: Instant::now() });
        }
        if !is_mine {
            self.enter(Tenure::Elsewhere);
        }
    }

    /// Writes the Lease where nobody else has since it was seen.
    async fn ask(&mut self) {
        let begun = Instant::now();
        let seen = self.seen.as_ref().and_then(|seen| seen.lease.clone());
        let wanted = taken(seen.clone(), &self.me, Timestamp::now());
        let params = PostParams::default();
        let written = match seen {
            None => timeout(PATIENCE, self.api.create(&params, &wanted)).await,
            Some(_) => timeout(PATIENCE, self.api.replace(NAME, &params, &wanted)).await,
        };
        match written {
            Ok(Ok(lease)) => {
                self.seen = Some(Seen { lease: Some(lease), at: begun });
                self.goes_well();
                self.enter(Tenure::Here(Some(begun + SURE)));
            }
            Ok(Err(Error::Api(refusal))) if refusal.code == 409 || refusal.code == 404 => {
                self.look().await
            }
            Ok(Err(error)) => self.later(&reason(&error)),
            Err(_) => self.later("the API server does not answer"),
        }
    }

    /// After a conflict: somebody else has written it, and the watch may not have told yet.
    async fn look(&mut self) {
        self.not_before = Instant::now() + RETRY;
        match timeout(PATIENCE, self.api.get_opt(NAME)).await {
            Ok(Ok(lease)) if holder(lease.as_ref()) == Some(&self.me) => {
                let at = self.seen.as_ref().map_or_else(Instant::now, |seen| seen.at);
                self.seen = Some(Seen { lease, at });
            }
            Ok(Ok(lease)) => self.see(lease),
            Ok(Err(error)) => self.later(&reason(&error)),
            Err(_) => self.later("the API server does not answer"),
        }
    }

    /// After a failure. Whoever cannot renew it creates nothing, and still does all else until it is seen in
    /// other hands: while the API server is away there is no successor, and results are announced.
    fn later(&mut self, why: &str) {
        self.complain("written", why);
        self.not_before = Instant::now() + RETRY;
    }

    /// Says once what goes wrong, and not at every try.
    fn complain(&mut self, done: &str, why: &str) {
        let text = format!("the Lease {NAME} cannot be {done}: {}", hint(why));
        if self.well {
            tracing::warn!("{text}; trying again");
        }
        self.well = false;
        self.trouble.send_replace(Some(text));
    }

    fn goes_well(&mut self) {
        self.well = true;
        self.trouble.send_replace(None);
    }

    fn enter(&self, tenure: Tenure) {
        let before = self.tenure.send_replace(tenure);
        if before.is_here() != tenure.is_here() {
            let holder = self.seen.as_ref().and_then(|seen| holder(seen.lease.as_ref()));
            tracing::info!(
                active = tenure.is_here(),
                me = self.me,
                holder,
                "the Lease changed hands"
            );
        }
    }

    async fn give_back(self) {
        let lease = self.seen.and_then(|seen| seen.lease);
        let Some(mut lease) = lease.filter(|_| self.tenure.borrow().is_here()) else { return };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        let written =
            timeout(PATIENCE, self.api.replace(NAME, &PostParams::default(), &lease)).await;
        if !matches!(written, Ok(Ok(_))) {
            tracing::warn!(
                "the Lease could not be given back; others begin in {} s",
                TERM.as_secs()
            );
        }
    }
}

/// What went wrong, and what to do where rights are missing.
fn hint(why: &str) -> String {
    let rights =
        "; whoever has the Lease must be allowed to get, list, watch, create and update leases";
    let missing = why.contains("orbidden") || why.contains("nauthorized");
    format!("{why}{}", if missing { rights } else { "" })
}

fn holder(lease: Option<&Lease>) -> Option<&str> {
    lease?.spec.as_ref()?.holder_identity.as_deref().filter(|name| !name.is_empty())
}

/// The Lease in the hands of `me`.
fn taken(lease: Option<Lease>, me: &str, now: Timestamp) -> Lease {
    let was_mine = holder(lease.as_ref()) == Some(me);
    let mut lease = lease.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
    if !was_mine {
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
    }
    spec.holder_identity = Some(me.to_owned());
    spec.lease_duration_seconds = i32::try_from(TERM.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    lease
}
