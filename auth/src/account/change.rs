//! Changes of an account. Each is one UPDATE that holds only where the account is still as it was
//! read (its epoch says so), raises the epoch in the same breath, and never takes the last enabled
//! administrator away: of two requests that demote one another, the second finds nobody else left.

use super::{Account, find};
use crate::{
    Error,
    database::{Database, now, on, schema::accounts},
};
use diesel::{
    ExpressionMethods, QueryDsl,
    result::Error as QueryError,
    sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{Role, UserName};

/// What to change; what is `None` stays.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
    pub(crate) password_hash: Option<String>,
    /// Only where the account is of this epoch.
    pub(crate) epoch: Option<i64>,
}

/// What came of a change.
pub(crate) enum Changed {
    /// The account as it is now.
    Done(Account),
    /// There is none, or none of that epoch.
    Gone,
    /// No enabled administrator would be left.
    LastAdmin,
}

/// An account of the state that is asked for.
struct Wanted {
    account: Account,
    deleted: bool,
}

const UPDATE: &str = "UPDATE accounts SET role = ?, disabled = ?, deleted = ?, \
    password_hash = COALESCE(?, password_hash), epoch = epoch + 1, epoch_raised_at = ? \
    WHERE id = ? AND epoch = ? AND deleted = FALSE";
// MySQL reads the table it changes only through a table derived from it. The read locks the
// administrators until the change is done.
const ANOTHER_ADMIN: &str = " AND (SELECT others.number FROM (SELECT COUNT(*) AS number \
    FROM accounts WHERE role = 'admin' AND disabled = FALSE AND deleted = FALSE AND id <> ?) \
    AS others) > 0";

/// Changes role, password, or whether the account is disabled.
pub(crate) async fn change(
    database: &Database,
    name: &UserName,
    change: &Change,
) -> Result<Changed, Error> {
    let seen = change.epoch;
    apply(database, name, |mut account| {
        if seen.is_some_and(|epoch| epoch != account.epoch) {
            return None;
        }
        if let Some(role) = change.role {
            role.as_str().clone_into(&mut account.role);
        }
        account.disabled = change.disabled.unwrap_or(account.disabled);
        if let Some(hash) = &change.password_hash {
            account.password_hash.clone_from(hash);
        }
        Some(Wanted { account, deleted: false })
    })
    .await
}

/// Deletes the account for good. Its row stays, without the password.
pub(crate) async fn delete(database: &Database, name: &UserName) -> Result<Changed, Error> {
    apply(database, name, |mut account| {
        account.disabled = true;
        account.password_hash.clear();
        Some(Wanted { account, deleted: true })
    })
    .await
}

async fn apply(
    database: &Database,
    name: &UserName,
    wanted: impl Fn(Account) -> Option<Wanted>,
) -> Result<Changed, Error> {
    // Each round that changes nothing is one in which somebody else changed the account.
    loop {
        let Some(account) = find(database, name).await? else { return Ok(Changed::Gone) };
        let Some(wanted) = wanted(account.clone()) else { return Ok(Changed::Gone) };
        let same = !wanted.deleted
            && wanted.account.role == account.role
            && wanted.account.disabled == account.disabled
            && wanted.account.password_hash == account.password_hash;
        if same {
            return Ok(Changed::Done(account));
        }
        if swap(database, &account, &wanted).await? {
            let epoch = account.epoch + 1;
            return Ok(Changed::Done(Account { epoch, ..wanted.account }));
        }
        let now = find(database, name).await?;
        if now.is_some_and(|now| now.epoch == account.epoch) {
            return Ok(Changed::LastAdmin);
        }
    }
}

/// Whether the account was still `old` and is now as wanted.
async fn swap(database: &Database, old: &Account, wanted: &Wanted) -> Result<bool, Error> {
    let (new, admin) = (&wanted.account, Role::Admin.as_str());
    let hash = (new.password_hash != old.password_hash).then_some(&new.password_hash);
    let leaves = old.role == admin && !old.disabled;
    let leaves = leaves && (new.role != admin || new.disabled || wanted.deleted);
    let text = if leaves { format!("{UPDATE}{ANOTHER_ADMIN}") } else { UPDATE.to_owned() };
    loop {
        let update = sql_query(text.clone())
            .bind::<Text, _>(&new.role)
            .bind::<Bool, _>(new.disabled)
            .bind::<Bool, _>(wanted.deleted)
            .bind::<Nullable<Text>, _>(hash)
            .bind::<BigInt, _>(now())
            .bind::<BigInt, _>(old.id)
            .bind::<BigInt, _>(old.epoch);
        let updated = if leaves {
            let update = update.bind::<BigInt, _>(old.id);
            on!(database, |c| update.execute(&mut c))
        } else {
            on!(database, |c| update.execute(&mut c))
        };
        match updated {
            Ok(rows) => return Ok(rows > 0),
            // Two that wait for one another's administrator: MySQL ends one, which comes again.
            Err(QueryError::DatabaseError(_, cause)) if cause.message().starts_with("Deadlock") => {
            }
            Err(cause) => return Err(cause.into()),
        }
    }
}

/// Replaces the hash, unless the password has been changed since `account` was read.
pub(crate) async fn rehash(
    database: &Database,
    account: &Account,
    fresh: &str,
) -> Result<(), Error> {
    let unchanged = accounts::table
        .filter(accounts::id.eq(account.id))
        .filter(accounts::password_hash.eq(&account.password_hash));
    let update = diesel::update(unchanged).set(accounts::password_hash.eq(fresh));
    on!(database, |c| update.execute(&mut c))?;
    Ok(())
}
