//! What one upload may take: of the disk, and of its owner's share. Uploads in flight count, so that
//! many at once cannot pass together what none may pass alone.
//!
//! What must hold: whatever ends an upload gives back what it had reserved; without limits nothing is
//! asked of the store but its free space.

use crate::{context::Context, error::Error};
use domain::UserName;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::Semaphore;

/// Bytes of undeclared length that may come between two looks at the disk.
const LOOK_EVERY: u64 = 16 << 20;

/// Every upload in flight.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    users: HashMap<UserName, InFlight>,
    /// Bytes that are reserved and not yet on the disk.
    to_come: u64,
    /// What keeps one user from having all the room that there is for uploads.
    seats: HashMap<UserName, Weak<Semaphore>>,
}

#[derive(Clone, Copy, Default)]
struct InFlight {
    uploads: u64,
    bytes: u64,
}

/// What one upload has reserved. Dropping it gives that back.
pub(crate) struct Share {
    context: Arc<Context>,
    user: UserName,
    /// What its owner may have in flight, this upload included.
    allowed: Option<u64>,
    reserved: u64,
    received: u64,
    /// Undeclared bytes since the last look at the disk.
    unseen: u64,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seats of a user's uploads; half of all.
    pub(crate) fn seats(&self, user: &UserName, most_uploads: usize) -> Arc<Semaphore> {
        let mut entries = self.entries();
        if let Some(seats) = entries.seats.get(user).and_then(Weak::upgrade) {
            return seats;
        }
        // Nobody's upload holds the others any more.
        entries.seats.retain(|_, seats| seats.strong_count() > 0);
        let seats = Arc::new(Semaphore::new(most_uploads.div_ceil(2)));
        entries.seats.insert(user.clone(), Arc::downgrade(&seats));
        seats
    }

    fn has_come(&self, length: u64) {
        let mut entries = self.entries();
        entries.to_come = entries.to_come.saturating_sub(length);
    }
}

/// Refuses where the disk is too full for `length` more bytes.
pub(crate) async fn check_floor(context: &Context, length: u64) -> Result<(), Error> {
    let needed = context.ledger.entries().to_come.saturating_add(length);
    match context.storage.free_bytes().await {
        Ok(Some(free)) if free < needed.saturating_add(context.http.min_free_bytes) => {
            Err(Error::StorageFull)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses where a user has as many conversions waiting as allowed; uploads in flight count.
pub(crate) async fn check_waiting(context: &Context, user: &UserName) -> Result<(), Error> {
    let Some(most) = context.http.max_user_waiting else {
        return Ok(());
    };
    let waiting = context.storage.usage(user).await?.waiting;
    let coming = context.ledger.entries().users.get(user).map_or(0, |it| it.uploads);
    if waiting + coming < most { Ok(()) } else { Err(Error::TooManyWaiting(most)) }
}

/// Lets an upload of `length` bytes in, where that is known.
pub(crate) async fn admit(
    context: &Arc<Context>,
    user: &UserName,
    length: Option<u64>,
) -> Result<Share, Error> {
    check_waiting(context, user).await?;
    check_floor(context, length.unwrap_or(0)).await?;
    let allowed = match context.http.max_user_bytes {
        Some(most) => Some(most.saturating_sub(context.storage.usage(user).await?.bytes)),
        None => None,
    };
    let mut share = Share {
        context: context.clone(),
        user: user.clone(),
        allowed,
        reserved: 0,
        received: 0,
        unseen: 0,
    };
    context.ledger.entries().users.entry(user.clone()).or_default().uploads += 1;
    share.reserve(length.unwrap_or(0))?;
    Ok(share)
}

impl Share {
    /// Counts bytes that came.
    pub(crate) async fn take(&mut self, length: u64) -> Result<(), Error> {
        self.received += length;
        let beyond = self.received.saturating_sub(self.reserved);
        if beyond > 0 {
            self.reserve(beyond)?;
            self.unseen += beyond;
        }
        self.context.ledger.has_come(length);
        if self.unseen >= LOOK_EVERY {
            self.unseen = 0;
            check_floor(&self.context, 0).await?;
        }
        Ok(())
    }

    fn reserve(&mut self, length: u64) -> Result<(), Error> {
        let mut entries = self.context.ledger.entries();
        let of_user = entries.users.entry(self.user.clone()).or_default();
        let wanted = of_user.bytes.saturating_add(length);
        if let Some(allowed) = self.allowed.filter(|allowed| wanted > *allowed) {
            return Err(Error::QuotaExceeded(allowed));
        }
        of_user.bytes = wanted;
        entries.to_come = entries.to_come.saturating_add(length);
        self.reserved += length;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut entries = self.context.ledger.entries();
        let left = self.reserved.saturating_sub(self.received);
        entries.to_come = entries.to_come.saturating_sub(left);
        if let Some(of_user) = entries.users.get_mut(&self.user) {
            of_user.bytes = of_user.bytes.saturating_sub(self.reserved);
            of_user.uploads -= 1;
            if of_user.uploads == 0 {
                entries.users.remove(&self.user);
            }
        }
    }
}
