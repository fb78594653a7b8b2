//! An account: who may log in. Names are unique byte for byte, and a deleted account keeps its row,
//! so that its name is never given again. Whatever changes an account is in `account/change.rs`.

mod change;
mod import;

pub use import::{Imported, import_accounts};

pub(crate) use change::{Change, Changed, change, delete, rehash};

use crate::{
    Config, Error,
    database::{Database, is_taken, now, on, schema::accounts},
    password,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel_async::RunQueryDsl;
use domain::{Role, UserName};
use secrecy::SecretString;
use tokio::task::spawn_blocking;

/// The administrator that this very start made, with a password nobody has been told yet.
#[derive(Debug)]
pub struct FirstAccount {
    /// The account's name.
    pub name: UserName,
    /// Its random password. It is stored nowhere else.
    pub password: SecretString,
}

/// An account that is not deleted.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = accounts)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) password_hash: String,
    pub(crate) role: String,
    pub(crate) disabled: bool,
    pub(crate) created_at: i64,
    /// Raised by every change, except when a hash is made anew from the same password. A login
    /// token of an earlier epoch is void.
    pub(crate) epoch: i64,
}

impl Account {
    pub(crate) fn role(&self) -> Result<Role, Error> {
        parse_role(&self.role).map_err(|fault| Error::Internal(fault.to_owned()))
    }

    pub(crate) fn user_name(&self) -> Result<UserName, Error> {
        let parsed = self.name.parse();
        parsed.map_err(|fault| Error::Internal(format!("a stored name is unusable: {fault}")))
    }
}

#[derive(Insertable)]
#[diesel(table_name = accounts)]
struct NewAccount<'a> {
    /// Chosen by the database where it is not given.
    id: Option<i64>,
    name: &'a str,
    password_hash: &'a str,
    role: &'static str,
    created_at: i64,
}

/// The first account has this id. It is the primary key, so of several starts at once one wins.
const FIRST_ID: i64 = 1;

/// Adds an account straight to the database.
///
/// # Errors
/// [`Error::Exists`] when the name is taken, [`Error::BadPassword`], [`Error::Database`].
pub async fn add_account(
    config: &Config,
    name: &UserName,
    role: Role,
    password: SecretString,
) -> Result<(), Error> {
    password::acceptable(&password)?;
    let database = Database::open(&config.database).await?;
    let added = insert(&database, None, name, role, &hash(password).await?).await?;
    if added { Ok(()) } else { Err(Error::Exists(name.clone())) }
}

/// The role of this name.
///
/// # Errors
/// When there is none; the message names those there are.
pub fn parse_role(name: &str) -> Result<Role, &'static str> {
    let known = [Role::User, Role::Admin].into_iter().find(|role| role.as_str() == name);
    known.ok_or("a role is user or admin")
}

/// Makes the first administrator where there is no account at all. Returns it when this call made
/// it and its password is random.
pub(crate) async fn first(
    database: &Database,
    config: &Config,
) -> Result<Option<FirstAccount>, Error> {
    let anybody = accounts::table.select(accounts::id).limit(1);
    let anybody: Option<i64> = on!(database, |c| anybody.first(&mut c)).optional()?;
    if anybody.is_some() {
        return Ok(None);
    }
    let name = config.first_account.clone();
    let password = config.first_password.clone().unwrap_or_else(password::random);
    let hash = hash(password.clone()).await?;
    let made = insert(database, Some(FIRST_ID), &name, Role::Admin, &hash).await?;
    let untold = made && config.first_password.is_none();
    Ok(untold.then_some(FirstAccount { name, password }))
}

/// The account of this name.
pub(crate) async fn find(database: &Database, name: &UserName) -> Result<Option<Account>, Error> {
    let named = accounts::table.filter(accounts::name.eq(name.as_str()));
    let named = named.filter(accounts::deleted.eq(false));
    // Each database has its own type of selection, so it is inside.
    Ok(on!(database, |c| named.select(Account::as_select()).first(&mut c)).optional()?)
}

/// At most `limit` accounts by name, those after `after`.
pub(crate) async fn list(
    database: &Database,
    after: &str,
    limit: i64,
) -> Result<Vec<Account>, Error> {
    let later = accounts::table.filter(accounts::name.gt(after));
    let page = later.filter(accounts::deleted.eq(false)).order(accounts::name).limit(limit);
    Ok(on!(database, |c| page.select(Account::as_select()).load(&mut c))?)
}

/// Names and epochs of the accounts, deleted ones too, whose epoch was raised since then.
pub(crate) async fn raised(database: &Database, since: i64) -> Result<Vec<(String, i64)>, Error> {
    let raised = accounts::table.filter(accounts::epoch_raised_at.ge(since));
    let raised = raised.select((accounts::name, accounts::epoch)).order(accounts::name);
    Ok(on!(database, |c| raised.load(&mut c))?)
}

/// Whether the account was added; false when its name or id is taken.
pub(crate) async fn insert(
    database: &Database,
    id: Option<i64>,
    name: &UserName,
    role: Role,
    password_hash: &str,
) -> Result<bool, Error> {
    let (name, role) = (name.as_str(), role.as_str());
    let account = NewAccount { id, name, password_hash, role, created_at: now() };
    let insert = diesel::insert_into(accounts::table).values(&account);
    match on!(database, |c| insert.execute(&mut c)) {
        Ok(_) => Ok(true),
        Err(cause) if is_taken(&cause) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Before there is a gate: of commands and of the start.
async fn hash(password: SecretString) -> Result<String, Error> {
    let hash = spawn_blocking(move || password::hash(&password)).await;
    hash.map_err(|cause| Error::Internal(cause.to_string()))?
}
