//! Opens an SQLite file the one way that all of ours are opened: write-ahead log, every commit
//! synced to the disk before it is reported, and a writer waits for its turn instead of failing.
//! Several processes may have the same file open.

mod examine;

pub use examine::examine;

use bb8::Pool as Bb8Pool;
use diesel::{ConnectionError, ConnectionResult, SqliteConnection};
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, PoolError, RecyclingMethod},
    sync_connection_wrapper::SyncConnectionWrapper,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use std::path::Path;

/// One connection; its queries run on tokio's blocking threads.
pub type Connection = SyncConnectionWrapper<SqliteConnection>;
/// Connections to one file.
pub type Pool = Bb8Pool<AsyncDieselConnectionManager<Connection>>;

/// Readers at a time; SQLite has one writer whatever we do.
const CONNECTIONS: u32 = 4;

/// Set on every connection. 15 s is far beyond any write of ours, so `busy` is a real fault.
const PRAGMAS: &str = "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; \
                       PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// The file cannot be opened or brought to the current schema.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Opening failed.
    #[error("cannot open {path}: {cause}")]
    Open {
        /// The file.
        path: String,
        /// What SQLite said.
        cause: PoolError,
    },
    /// A migration failed.
    #[error("cannot bring {path} to the current schema: {cause}")]
    Migrate {
        /// The file.
        path: String,
        /// What the migration said.
        cause: String,
    },
}

/// Opens `path`, makes it where missing, and runs the migrations that it lacks.
pub async fn open(path: &Path, migrations: EmbeddedMigrations) -> Result<Pool, Error> {
    let shown = path.display().to_string();
    let mut config = ManagerConfig::<Connection>::default();
    config.custom_setup = Box::new(|url| Box::pin(connect(url.to_owned())));
    // A file does not hang up, so no query asks it before each use.
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::new_with_config(shown.clone(), config);
    let opened = async {
        let pool = Bb8Pool::builder().max_size(CONNECTIONS).build(manager).await?;
        pool.get().await.map(drop).map_err(|error| match error {
            bb8::RunError::User(error) => error,
            bb8::RunError::TimedOut => PoolError::ConnectionError(ConnectionError::BadConnection(
                "no connection within 30 s".to_owned(),
            )),
        })?;
        Ok(pool)
    };
    let pool = opened.await.map_err(|cause| Error::Open { path: shown.clone(), cause })?;
    migrate(&pool, migrations).await.map_err(|cause| Error::Migrate { path: shown, cause })?;
    Ok(pool)
}

async fn connect(url: String) -> ConnectionResult<Connection> {
    let mut connection = Connection::establish(&url).await?;
    connection.batch_execute(PRAGMAS).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

async fn migrate(pool: &Pool, migrations: EmbeddedMigrations) -> Result<(), String> {
    let mut connection = pool.get().await.map_err(|error| error.to_string())?;
    // Several processes may open a new file at once: the first to hold the write lock migrates, the
    // others then find nothing to do.
    let run = connection.spawn_blocking(move |connection| {
        let migrated = connection.immediate_transaction(|connection| {
            connection.run_pending_migrations(migrations).map(drop)
        });
        Ok(migrated.map_err(|error: Box<dyn std::error::Error + Send + Sync>| error.to_string()))
    });
    run.await.map_err(|error| error.to_string())?
}
