//! Which login tokens are void before their time: auth raises an account's epoch when it disables or
//! deletes it, or changes its password or role, and lists those it raised lately. The list is fetched
//! on use when it is older than a few seconds.

use crate::{
    auth::Auth,
    kept::{Kept, Known},
};
use domain::UserName;
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// Longest wait of a request for a newer list; after that it goes on with the one there is.
const WAIT: Duration = Duration::from_secs(1);

type Epochs = HashMap<UserName, u64>;

/// The lowest epochs that are still good.
pub(crate) struct Revocations {
    kept: Kept<Epochs>,
    /// Age from which the list is fetched anew, and pause after a fetch that failed.
    age: Duration,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    sub: UserName,
    epoch: u64,
}

impl Revocations {
    pub(crate) fn new(auth: Auth, age: Duration) -> Self {
        Self { kept: Kept::new(auth, "/revocations", read), age }
    }

    /// Whether a token of this user and epoch is void. With no list at all nothing is known against
    /// it: its signature stands alone, as do the keys.
    pub(crate) async fn void(&self, user: &UserName, epoch: u64) -> bool {
        let age = self.age;
        let due = move |known: &Known<Epochs>| known.rested(age);
        if due(&self.kept.known()) {
            let _ = timeout(WAIT, self.kept.refresh(due)).await;
        }
        let lowest = self.kept.known().value.as_ref().and_then(|epochs| epochs.get(user).copied());
        lowest.is_some_and(|lowest| epoch < lowest)
    }
}

fn read(answer: &[u8]) -> Result<Epochs, serde_json::Error> {
    let list: List = serde_json::from_slice(answer)?;
    Ok(list.items.into_iter().map(|item| (item.sub, item.epoch)).collect())
}
