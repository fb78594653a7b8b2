//! The one place that knows there are two databases. A query is written once, with `on!`, and runs
//! on whichever is open; only the migrations differ.

mod examine;
mod mysql;

pub use examine::examine;
pub(crate) use mysql::original;

use crate::{DatabaseUrl, Error};
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use jiff::Timestamp;
use secrecy::ExposeSecret;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Connections to the accounts.
#[derive(Clone)]
pub(crate) enum Database {
    MySql(mysql::Pool),
    Sqlite(sqlite::Pool),
}

impl Database {
    /// Connects and brings the schema up to date. Any number of processes may do so at once.
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        match url {
            DatabaseUrl::MySql(url) => Ok(Self::MySql(mysql::open(url.expose_secret()).await?)),
            DatabaseUrl::Sqlite(path) => sqlite::open(path, SQLITE)
                .await
                .map(Self::Sqlite)
                .map_err(|cause| Error::Database(cause.to_string())),
        }
    }
}

/// Runs a query on the open database: `on!(database, |c| table.load(&mut c))`.
macro_rules! on {
    ($database:expr, |$connection:ident| $query:expr) => {
        match $database {
            $crate::database::Database::MySql(pool) => {
                let mut $connection = pool.get().await?;
                $query.await
            }
            $crate::database::Database::Sqlite(pool) => {
                let mut $connection = pool.get().await?;
                $query.await
            }
        }
    };
}
pub(crate) use on;

impl Database {
    /// Asks the database for nothing, to see that it answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let nothing = diesel::sql_query("SELECT 1");
        on!(self, |c| diesel_async::RunQueryDsl::execute(nothing, &mut c))?;
        Ok(())
    }
}

/// The time as it is stored: milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// True when a row with this key is there already.
pub(crate) fn is_taken(error: &QueryError) -> bool {
    matches!(error, QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

/// Times are milliseconds since 1970.
pub(crate) mod schema {
    diesel::table! {
        accounts (id) {
            id -> BigInt,
            name -> Text,
            password_hash -> Text,
            role -> Text,
            created_at -> BigInt,
            disabled -> Bool,
            deleted -> Bool,
            epoch -> BigInt,
            epoch_raised_at -> BigInt,
        }
    }

    diesel::table! {
        api_tokens (id) {
            id -> Text,
            account_id -> BigInt,
            slot -> Integer,
            name -> Text,
            sha256 -> Binary,
            created_at -> BigInt,
            expires_at -> Nullable<BigInt>,
        }
    }

    diesel::table! {
        login_failures (name, address) {
            name -> Text,
            address -> Text,
            failures -> BigInt,
            failed_at -> BigInt,
        }
    }

    diesel::table! {
        known_addresses (name, address) {
            name -> Text,
            address -> Text,
            succeeded_at -> BigInt,
        }
    }

    diesel::table! {
        signing_keys (generation) {
            generation -> BigInt,
            kid -> Text,
            private_key -> Binary,
            public_key -> Binary,
            created_at -> BigInt,
            signs_from -> BigInt,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(accounts, api_tokens);
}
