//! Takes over the accounts of the system that this one replaces: its MySQL table `user`, whose passwords
//! lie there in the clear. It is only read.

use super::{hash, insert};
use crate::{
    Config, Error,
    database::{Database, original},
    password,
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl;
use domain::{Role, UserName};
use secrecy::{ExposeSecret, SecretString};

#[derive(QueryableByName)]
struct Original {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    password: String,
}

/// What has become of the original's accounts.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many were added.
    pub added: usize,
    /// How many were there already, and were left as they are.
    pub known: usize,
    /// The names of those that cannot be accounts here.
    pub unusable: Vec<String>,
}

/// Adds an account for each of the original's, whose names are mail addresses, with the same password,
/// which is only kept as a hash. Those that are there already are left alone, so it may be done again.
///
/// # Errors
/// [`Error::Database`], of either; what was added until then stays.
pub async fn import_accounts(config: &Config, from: &SecretString) -> Result<Imported, Error> {
    let mut connection = original(from.expose_secret()).await?;
    let all = sql_query("SELECT email, password FROM user ORDER BY email");
    let all: Vec<Original> = all.load(&mut connection).await?;
    drop(connection);
    let database = Database::open(&config.database).await?;
    let mut imported = Imported::default();
    for Original { email, password } in all {
        let (name, password) = (email.parse::<UserName>(), SecretString::from(password));
        let Some(name) = name.ok().filter(|_| password::possible(&password)) else {
            imported.unusable.push(email);
            continue;
        };
        // Hashing is what takes the time when it is done again.
        let known = super::find(&database, &name).await?.is_some();
        if !known && insert(&database, None, &name, Role::User, &hash(password).await?).await? {
            imported.added += 1;
        } else {
            imported.known += 1;
        }
    }
    Ok(imported)
}
