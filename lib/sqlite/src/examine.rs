//! Looks at a file as it is, and changes nothing in it.

use crate::Connection;
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::Finding;
use std::{error::Error, path::Path};

#[derive(QueryableByName)]
struct Check {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Whether the file is whole and may be written. One that is missing will be made by whoever opens it.
pub async fn examine(path: &Path) -> Finding {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let shown = path.display();
    if !path.exists() {
        return Finding::ok(name, format!("{shown} is not there yet; the first start makes it"));
    }
    let why = match check(path).await {
        Ok(said) if said == "ok" => return Finding::ok(name, format!("{shown} is whole")),
        Ok(said) => said,
        Err(error) => error.to_string(),
    };
    let fix = if why.contains("readonly") || why.contains("unable to open") {
        format!(
            "give it to the account that serves: `chown ACCOUNT {shown}*` and `chmod u+rw {shown}*`"
        )
    } else {
        format!(
            "end the server, and put a backup in the place of {shown}, {shown}-wal and {shown}-shm"
        )
    };
    Finding::fail(name, format!("{shown} cannot be used: {why}"), fix)
}

async fn check(path: &Path) -> Result<String, Box<dyn Error>> {
    let mut connection = Connection::establish(&path.display().to_string()).await?;
    connection.batch_execute("PRAGMA busy_timeout = 15000").await?;
    let check: Check = sql_query("PRAGMA quick_check(1)").get_result(&mut connection).await?;
    // BEGIN alone says nothing against a file that may only be read.
    connection.batch_execute("BEGIN IMMEDIATE; PRAGMA user_version = 1; ROLLBACK").await?;
    Ok(check.quick_check)
}
