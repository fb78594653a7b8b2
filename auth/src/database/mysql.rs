//! Opens MySQL or MariaDB. The migrations run on one connection that holds a named lock, since
//! MySQL cannot roll back a half-made schema and several pods start at once.

use crate::Error;
use bb8::ErrorSink;
use diesel::{ConnectionError, ConnectionResult, dsl::sql, select, sql_types};
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection,
    async_connection_wrapper::AsyncConnectionWrapper,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, PoolError},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::time::Duration;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// More than the logins that run at once on common machines; hashing is what takes the time.
const CONNECTIONS: u32 = 10;
/// A login rather fails with 503 than waits longer for a database that is away.
const PATIENCE: Duration = Duration::from_secs(5);

// The lock's name holds for the whole server, so the database is part of it. 64 characters are the
// most that MySQL takes. A migration of ours takes well under a minute.
const LOCK: &str = "GET_LOCK(CONCAT('auth-', MD5(DATABASE())), 60)";
const UNLOCK: &str = "RELEASE_LOCK(CONCAT('auth-', MD5(DATABASE())))";

// The default, which an operator may have lowered: below it an UPDATE does not lock what its
// condition reads, and two requests could take the last two administrators away.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

pub(super) type Pool = bb8::Pool<AsyncDieselConnectionManager<AsyncMysqlConnection>>;

pub(super) async fn open(url: &str) -> Result<Pool, Error> {
    migrate(url).await?;
    let pool = Pool::builder()
        .max_size(CONNECTIONS)
        .connection_timeout(PATIENCE)
        .error_sink(Box::new(Log));
    let mut config = ManagerConfig::<AsyncMysqlConnection>::default();
    config.custom_setup = Box::new(|url| Box::pin(connect(url.to_owned())));
    let built = pool.build(AsyncDieselConnectionManager::new_with_config(url, config)).await;
    built.map_err(|cause| Error::Database(cause.to_string()))
}

/// One connection to the database of the system that this one replaces, as it is.
pub(crate) async fn original(url: &str) -> Result<AsyncMysqlConnection, Error> {
    Ok(AsyncMysqlConnection::establish(url).await?)
}

async fn connect(url: String) -> ConnectionResult<AsyncMysqlConnection> {
    let mut connection = AsyncMysqlConnection::establish(&url).await?;
    let set = connection.batch_execute(ISOLATION).await;
    set.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Tells why connecting fails; who waits for a connection only learns that it took too long.
#[derive(Clone, Copy, Debug)]
struct Log;

impl ErrorSink<PoolError> for Log {
    fn sink(&self, error: PoolError) {
        tracing::warn!(%error, "cannot connect to MySQL");
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<PoolError>> {
        Box::new(*self)
    }
}

async fn migrate(url: &str) -> Result<(), Error> {
    let mut connection = AsyncMysqlConnection::establish(url).await?;
    if call(&mut connection, LOCK).await? != Some(1) {
        let cause = "another process keeps the lock on the schema";
        return Err(Error::Database(cause.to_owned()));
    }
    // Migrations block. On an early return the connection closes, and the lock with it.
    let run = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<_>::from(connection);
        let applied = connection.run_pending_migrations(MIGRATIONS).map(drop);
        let applied = applied.map_err(|cause| Error::Database(cause.to_string()));
        applied.map(|()| connection.into_inner())
    });
    let mut connection = run.await.map_err(|cause| Error::Internal(cause.to_string()))??;
    call(&mut connection, UNLOCK).await?;
    Ok(())
}

async fn call(connection: &mut AsyncMysqlConnection, function: &str) -> Result<Option<i64>, Error> {
    let result = sql::<sql_types::Nullable<sql_types::BigInt>>(function);
    Ok(select(result).get_result(connection).await?)
}
