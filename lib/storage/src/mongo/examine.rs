//! MongoDB, for operators: the server and its clock, what the account may do, indexes and disk.

use super::{Mongo, UNAUTHORIZED, code_of, free_in, indexes, rights};
use crate::{
    Error,
    examine::{clock, disk},
};
use domain::Finding;
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::doc;
use std::time::Duration;

/// The collection is not there yet.
const NO_SUCH_NAMESPACE: i32 = 26;

/// What there is to say of the database at `url`.
pub(crate) async fn examine(url: &str, least: u64) -> Vec<Finding> {
    let store = match Mongo::connect(url).await {
        Ok(store) => store,
        Err(error) => return vec![unusable(&error)],
    };
    let version = match store.version().await {
        Ok(version) => version,
        Err(error) => return vec![unusable(&error)],
    };
    let server = format!("version {version} answers, database {}", store.database.name());
    let mut findings = vec![Finding::ok("MongoDB", server)];
    findings.push(match store.apart().await {
        Ok(apart) => clock("MongoDB", apart),
        Err(error) => unusable(&error),
    });
    findings.extend([store.rights().await, store.indexes().await, store.disk(least).await]);
    findings
}

fn unusable(error: &Error) -> Finding {
    let fix = "see that it runs and that this machine reaches it (from outside a cluster: `kubectl \
               port-forward service/mongodb 27017`), and that host, account, password and database in \
               STORAGE_URL are right";
    Finding::fail("MongoDB", error.to_string(), fix)
}

impl Mongo {
    async fn version(&self) -> Result<String, Error> {
        let said = self.database.run_command(doc! { "buildInfo": 1 }).await?;
        Ok(said.get_str("version").unwrap_or("unknown").to_owned())
    }

    /// How far the server's clock is from ours, if its answer took as long as the question.
    async fn apart(&self) -> Result<Duration, Error> {
        let asked = Timestamp::now();
        let said = self.database.run_command(doc! { "hello": 1 }).await?;
        let took = Timestamp::now().duration_since(asked);
        let there =
            said.get_datetime("localTime").map_err(|error| Error::Corrupt(error.to_string()))?;
        let here = (asked + took / 2).as_millisecond();
        Ok(Duration::from_millis(here.abs_diff(there.timestamp_millis())))
    }

    async fn rights(&self) -> Finding {
        let asked = doc! { "connectionStatus": 1, "showPrivileges": true };
        match self.database.run_command(asked).await {
            Ok(said) => rights::judge(&said, self.database.name()),
            Err(error) => unusable(&error.into()),
        }
    }

    async fn indexes(&self) -> Finding {
        let (mut missing, mut all) = (Vec::new(), 0);
        for (collection, wanted) in indexes::all() {
            let records = self.records(collection);
            let there = async { records.list_indexes().await?.try_collect::<Vec<_>>().await };
            let there = match there.await {
                Ok(there) => there,
                Err(error) if code_of(&error) == Some(NO_SUCH_NAMESPACE) => Vec::new(),
                Err(error) if code_of(&error) == Some(UNAUTHORIZED) => {
                    let detail = "not seen: the account may not list them, and need not; each service makes \
                                  sure of them as it starts";
                    return Finding::ok("indexes", detail);
                }
                Err(error) => return unusable(&error.into()),
            };
            all += wanted.len();
            let wanted = wanted.into_iter().map(|index| index.keys);
            let absent = wanted.filter(|keys| there.iter().all(|index| index.keys != *keys));
            missing.extend(absent.map(|keys| format!("{collection} {keys}")));
        }
        if missing.is_empty() {
            return Finding::ok("indexes", format!("all {all} are there"));
        }
        let detail = match missing.len() {
            some if some < all => format!("{some} of {all} are missing: {}", missing.join(", ")),
            _ => format!("none of the {all} is there"),
        };
        let fix =
            "start a service, which makes them: `kubectl rollout restart deployment/dispatcher`";
        Finding::warn("indexes", detail, fix)
    }

    async fn disk(&self, least: u64) -> Finding {
        let what = "disk of MongoDB";
        match self.database.run_command(doc! { "dbStats": 1 }).await {
            Ok(stats) => free_in(&stats).map_or_else(
                || {
                    Finding::ok(
                        what,
                        "not seen: the server does not tell, or not before there is a database",
                    )
                },
                |free| disk(what, free, least),
            ),
            Err(error) if code_of(&error) == Some(UNAUTHORIZED) => {
                let detail =
                    "not seen: the account may not ask (dbStats), and need not; the gateway's does";
                Finding::ok(what, detail)
            }
            Err(error) => unusable(&error.into()),
        }
    }
}
