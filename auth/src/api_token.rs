//! Personal API tokens: random texts for scripts, good until they expire or are deleted. Only their
//! SHA-256 is stored, which is enough: nobody guesses 32 random bytes.

use crate::{
    Error,
    account::Account,
    database::{
        Database, is_taken, now, on,
        schema::{accounts, api_tokens},
    },
};
use aws_lc_rs::{digest, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

/// What every token begins with, so that people and secret scanners know one when they see it.
pub(crate) const PREFIX: &str = "act_";
/// Prefix and 32 bytes of base64url.
const LENGTH: usize = 47;
/// The most that an account may have.
const SLOTS: i32 = 100;

/// A token as it is stored.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_tokens)]
struct Stored {
    id: String,
    account_id: i64,
    slot: i32,
    name: String,
    sha256: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
}

/// What its owner may know of a token. Times are milliseconds since 1970.
pub(crate) struct ApiToken {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
}

impl Stored {
    fn shown(self) -> Result<ApiToken, Error> {
        let id = Uuid::try_parse(&self.id).map_err(|cause| Error::Internal(cause.to_string()))?;
        let Self { name, created_at, expires_at, .. } = self;
        Ok(ApiToken { id, name, created_at, expires_at })
    }
}

/// A new token and its text, which is told this once; nothing where the account has its 100.
pub(crate) async fn create(
    database: &Database,
    account: &Account,
    name: String,
    expires_at: Option<i64>,
) -> Result<Option<(ApiToken, String)>, Error> {
    remove_expired(database, account).await?;
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
    let text = format!("{PREFIX}{}", BASE64.encode(secret));
    let mut token = Stored {
        id: Uuid::now_v7().to_string(),
        account_id: account.id,
        slot: 0,
        name,
        sha256: sha256(&text),
        created_at: now(),
        expires_at,
    };
    // Whoever else inserts at the same moment may take the slot; then the next free one is tried.
    loop {
        let own = api_tokens::table.filter(api_tokens::account_id.eq(account.id));
        let taken: Vec<i32> = on!(database, |c| own.select(api_tokens::slot).load(&mut c))?;
        let Some(slot) = (0..SLOTS).find(|slot| !taken.contains(slot)) else { return Ok(None) };
        token.slot = slot;
        let insert = diesel::insert_into(api_tokens::table).values(&token);
        match on!(database, |c| insert.execute(&mut c)) {
            Ok(_) => return Ok(Some((token.shown()?, text))),
            Err(cause) if is_taken(&cause) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}

/// The token of this text and whose it is, while it is good.
pub(crate) async fn find(
    database: &Database,
    text: &str,
) -> Result<Option<(ApiToken, Account)>, Error> {
    if text.len() != LENGTH {
        return Ok(None);
    }
    let owner = accounts::table.on(accounts::id.eq(api_tokens::account_id));
    let good = api_tokens::expires_at.is_null().or(api_tokens::expires_at.gt(now()));
    let found = api_tokens::table
        .inner_join(owner)
        .filter(api_tokens::sha256.eq(sha256(text)))
        .filter(accounts::deleted.eq(false))
        .filter(good);
    let found: Option<(Stored, Account)> =
        on!(database, |c| found.select((Stored::as_select(), Account::as_select())).first(&mut c))
            .optional()?;
    found.map(|(token, account)| Ok((token.shown()?, account))).transpose()
}

/// The account's tokens, oldest first.
pub(crate) async fn list(database: &Database, account: &Account) -> Result<Vec<ApiToken>, Error> {
    let own = api_tokens::table.filter(api_tokens::account_id.eq(account.id));
    let own = own.order(api_tokens::id);
    let tokens: Vec<Stored> = on!(database, |c| own.select(Stored::as_select()).load(&mut c))?;
    tokens.into_iter().map(Stored::shown).collect()
}

/// Revokes the account's token of this id; false when it has none.
pub(crate) async fn delete(
    database: &Database,
    account: &Account,
    id: Uuid,
) -> Result<bool, Error> {
    let own = api_tokens::table.filter(api_tokens::account_id.eq(account.id));
    let delete = diesel::delete(own.filter(api_tokens::id.eq(id.to_string())));
    Ok(on!(database, |c| delete.execute(&mut c))? > 0)
}

/// Revokes every token of an account that is no more.
pub(crate) async fn delete_all(database: &Database, account_id: i64) -> Result<(), Error> {
    let own = api_tokens::table.filter(api_tokens::account_id.eq(account_id));
    let delete = diesel::delete(own);
    on!(database, |c| delete.execute(&mut c))?;
    Ok(())
}

async fn remove_expired(database: &Database, account: &Account) -> Result<(), Error> {
    let own = api_tokens::table.filter(api_tokens::account_id.eq(account.id));
    let delete = diesel::delete(own.filter(api_tokens::expires_at.le(now())));
    on!(database, |c| delete.execute(&mut c))?;
    Ok(())
}

fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
