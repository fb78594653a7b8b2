//! A database of a test's own, and the way around the service into it.

use auth::{Config, DatabaseUrl};
use diesel::{
    QueryableByName, SqliteConnection, sql_query,
    sql_types::{BigInt, Binary, Text},
};
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, RunQueryDsl,
    sync_connection_wrapper::SyncConnectionWrapper,
};
use futures::FutureExt;
use process::config::Settings;
use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const FIRST_PASSWORD: &str = "first password";

pub(crate) enum Backend {
    Sqlite(TempDir),
    MySql { server: String, database: String },
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
pub(crate) struct StolenKey {
    #[diesel(sql_type = Text)]
    pub(crate) kid: String,
    #[diesel(sql_type = Binary)]
    pub(crate) private_key: Vec<u8>,
    #[diesel(sql_type = Binary)]
    pub(crate) public_key: Vec<u8>,
}

macro_rules! raw {
    ($backend:expr, |$c:ident| $query:expr) => {
        match $backend {
            Self::Sqlite(_) => {
                let file = $backend.file().display().to_string();
                let mut connection =
                    SyncConnectionWrapper::<SqliteConnection>::establish(&file).await.unwrap();
                let $c = &mut connection;
                $query.await.unwrap()
            }
            Self::MySql { server, database } => {
                let url = format!("{server}/{database}");
                let mut connection = AsyncMysqlConnection::establish(&url).await.unwrap();
                let $c = &mut connection;
                $query.await.unwrap()
            }
        }
    };
}

impl Backend {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A new database on the server of `MYSQL_URL` (`mysql://root:password@host:port`).
    pub(crate) async fn mysql() -> Self {
        let server = std::env::var("MYSQL_URL").unwrap();
        let server = server.trim_end_matches('/').to_owned();
        let database = format!("auth_test_{}", Uuid::now_v7().simple());
        administer(&server, &format!("CREATE DATABASE {database}")).await;
        Self::MySql { server, database }
    }

    /// Runs a scenario and takes the database away, whether it passed or not.
    pub(crate) async fn run(self, scenario: impl AsyncFnOnce(&Self)) {
        let result = AssertUnwindSafe(scenario(&self)).catch_unwind().await;
        if let Self::MySql { server, database } = &self {
            administer(server, &format!("DROP DATABASE {database}")).await;
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    }

    /// Settings for a server over this database, on a free port.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::with_file(Settings::from_lookup(|_| None), self.file()).unwrap();
        if let Self::MySql { server, database } = self {
            config.database = DatabaseUrl::MySql(format!("{server}/{database}").into());
        }
        config.listen = ([127, 0, 0, 1], 0).into();
        config.first_password = Some(FIRST_PASSWORD.into());
        config
    }

    /// The URL for `AUTH_DATABASE_URL`.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(_) => format!("file:{}", self.file().display()),
            Self::MySql { server, database } => format!("{server}/{database}"),
        }
    }

    fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("accounts.sqlite"),
            Self::MySql { .. } => PathBuf::from("unused"),
        }
    }

    pub(crate) async fn execute(&self, sql: &str) {
        raw!(self, |c| sql_query(sql).execute(c));
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS value FROM {table}");
        raw!(self, |c| sql_query(&sql).get_result::<Number>(c)).value
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        raw!(self, |c| sql_query(sql).get_result::<Number>(c)).value
    }

    pub(crate) async fn password_hash(&self, name: &str) -> String {
        let sql = format!("SELECT password_hash AS value FROM accounts WHERE name = '{name}'");
        raw!(self, |c| sql_query(&sql).get_result::<Word>(c)).value
    }

    pub(crate) async fn steal_key(&self) -> StolenKey {
        let sql = "SELECT kid, private_key, public_key FROM signing_keys";
        raw!(self, |c| sql_query(sql).get_result::<StolenKey>(c))
    }
}

async fn administer(server: &str, sql: &str) {
    let mut connection = AsyncMysqlConnection::establish(server).await.unwrap();
    sql_query(sql).execute(&mut connection).await.unwrap();
}
