//! One machine: the folder and the address of `serve`, the converter and the clock.

use super::{Arguments, Report, converter};
use crate::{data, embedded, error::Error};
use auth::DatabaseUrl;
use domain::Finding;
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

/// A file may be a little younger than now, on a file system that others serve.
const TOLERABLE: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn examine(arguments: &Arguments, report: &mut Report<'_>) -> Result<(), Error> {
    let (folder, http) = (&arguments.data, embedded::gateway(arguments.listen)?);
    report.tell([data::examine(folder)]);
    let url = format!("file:{}", folder.display());
    report.tell(storage::examine(&url, http.min_free_bytes).await);
    report.tell(queue::examine(&url).await);
    report.tell([auth::examine(&DatabaseUrl::Sqlite(folder.join("accounts.sqlite"))).await]);
    report.tell(converter::examine(&report.converter()).await);
    report.tell([clock(folder, Timestamp::now()), port(arguments.listen).await]);
    Ok(())
}

/// Nobody else's clock is here to compare with: it may not be behind this program, or behind our data.
fn clock(folder: &Path, now: Timestamp) -> Finding {
    let written = folder.join("records.sqlite").metadata().and_then(|file| file.modified());
    let written = written.ok().and_then(|at| Timestamp::try_from(at).ok());
    let program = date(2026, 11, 1).to_zoned(TimeZone::UTC).map(|day| day.timestamp());
    let past = written.into_iter().chain(program.ok()).max().unwrap_or(now);
    let detail = format!("{now:.0}");
    if past.duration_since(now) > TOLERABLE {
        let detail = format!("{detail} cannot be: there is something from {past:.0}");
        return Finding::fail(
            "clock",
            detail,
            "have it set by the net: `timedatectl set-ntp true`",
        );
    }
    Finding::ok("clock", detail)
}

/// Whether `serve` can listen there, or does.
async fn port(listen: SocketAddr) -> Finding {
    let detail = match TcpListener::bind(listen) {
        Ok(_) => return Finding::ok("port", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_ours(listen).await {
                return Finding::ok("port", format!("our server answers on {listen}"));
            }
            format!("another program has {listen}")
        }
        Err(error) => format!("{listen} cannot be had: {error}"),
    };
    let port = listen.port();
    let fix = format!(
        "choose another, `serve --listen IP:PORT`; `ss -ltnp 'sport = :{port}'` tells who has this one"
    );
    Finding::fail("port", detail, fix)
}

async fn is_ours(address: SocketAddr) -> bool {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let asked = async {
        let description = client?.get(format!("http://{address}/openapi.json"));
        description.send().await?.json::<serde_json::Value>().await
    };
    asked.await.is_ok_and(|description| description["info"]["title"] == "Audio converter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Condition;

    #[test]
    fn a_clock_behind_the_data_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        assert_eq!(clock(folder.path(), now).state, Condition::Ok);
        std::fs::write(folder.path().join("records.sqlite"), "").unwrap();
        assert_eq!(clock(folder.path(), now).state, Condition::Ok);
        let found = clock(folder.path(), now - SignedDuration::from_secs(60));
        assert_eq!(found.state, Condition::Fail, "{found:?}");
        assert_eq!(clock(Path::new("/none"), Timestamp::UNIX_EPOCH).state, Condition::Fail);
    }
}
