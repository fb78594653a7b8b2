//! An account: who may log in. Names are unique byte for byte.

use crate::{
    Config, Error,
    database::{Database, on, schema::accounts},
    password,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
    result::{DatabaseErrorKind, Error as QueryError},
};
use diesel_async::RunQueryDsl;
use domain::{Role, UserName};
use jiff::Timestamp;
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

/// What a login needs to know.
#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) password_hash: String,
    pub(crate) role: String,
    pub(crate) disabled: bool,
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
    disabled: bool,
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
    let added = insert(&database, None, name, role, password).await?;
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
    let made = insert(database, Some(FIRST_ID), &name, Role::Admin, password.clone()).await?;
    let untold = made && config.first_password.is_none();
    Ok(untold.then_some(FirstAccount { name, password }))
}

/// The account of this name.
pub(crate) async fn find(database: &Database, name: &UserName) -> Result<Option<Account>, Error> {
    let named = accounts::table.filter(accounts::name.eq(name.as_str()));
    // Each database has its own type of selection, so it is inside.
    Ok(on!(database, |c| named.select(Account::as_select()).first(&mut c)).optional()?)
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

/// Whether the account was added; false when its name or id is taken.
async fn insert(
    database: &Database,
    id: Option<i64>,
    name: &UserName,
    role: Role,
    password: SecretString,
) -> Result<bool, Error> {
    let hash = spawn_blocking(move || password::hash(&password)).await;
    let hash = hash.map_err(|cause| Error::Internal(cause.to_string()))??;
    let account = NewAccount {
        id,
        name: name.as_str(),
        password_hash: &hash,
        role: role.as_str(),
        created_at: Timestamp::now().as_millisecond(),
        disabled: false,
    };
    let insert = diesel::insert_into(accounts::table).values(&account);
    match on!(database, |c| insert.execute(&mut c)) {
        Ok(_) => Ok(true),
        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}
