//! The accounts' database, for operators. Nothing in it is changed.

use super::mysql;
use crate::DatabaseUrl;
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl;
use domain::Finding;
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::time::timeout;

/// The driver would wait for as long as the kernel does.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// What there is to say of the database at `url`.
pub async fn examine(url: &DatabaseUrl) -> Finding {
    let url = match url {
        DatabaseUrl::Sqlite(path) => return sqlite::examine(path).await,
        DatabaseUrl::MySql(url) => url.expose_secret(),
    };
    let asked = async {
        let mut connection = mysql::original(url).await?;
        let version = sql_query("SELECT VERSION() AS version");
        Ok(version.get_result::<Version>(&mut connection).await?.version)
    };
    let why = match timeout(PATIENCE, asked).await {
        Ok(Ok(version)) => return Finding::ok("accounts", format!("version {version} answers")),
        Ok(Err(error)) => crate::Error::to_string(&error),
        Err(_) => "the server does not answer".to_owned(),
    };
    let fix = "see that MySQL or MariaDB runs and that this machine reaches it (from outside a cluster: \
               `kubectl port-forward service/mysql 3306`), and that host, account, password and database \
               in AUTH_DATABASE_URL are right";
    Finding::fail("accounts", why, fix)
}
