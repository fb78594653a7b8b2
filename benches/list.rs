//! A page of a list with 200,000 entries, at its begin, in its depth and at its end.

use crate::{
    Result,
    report::{Row, median},
    server::{Server, wait_for},
};
use anyhow::{Context, ensure};
use reqwest::Client;
use serde_json::Value;
use std::{process::Command, time::Instant};

const TIMES: usize = 50;

/// Copies one conversion so often that there are 200,000, each a second older than the one before;
/// every thousandth failed, so that one state is rare. One transaction, or it would take minutes.
const FILL: &str = r#"
import json, sqlite3, sys, uuid
db = sqlite3.connect(sys.argv[1])
db.row_factory = sqlite3.Row
row = dict(db.execute("SELECT * FROM conversions LIMIT 1").fetchone())
newest = int(row["id"].replace("-", "")[:12], 16)
def rows():
    for n in range(1, 200_000):
        id = str(uuid.UUID(int=((newest - n * 1000) << 80) | (0x7 << 76) | (0x8 << 60) | n))
        body = json.loads(row["body"])
        state = "failed" if n % 1000 == 0 else "cancelled"
        body.update(id=id, state=state)
        yield dict(row, id=id, state=state, key=None, mp3=None, announced=True, body=json.dumps(body))
names = ", ".join(row)
db.executemany(f"INSERT INTO conversions ({names}) VALUES ({', '.join(':' + name for name in row)})", rows())
db.commit()
"#;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    let (token, client) = (server.sign_in()?, Client::new());
    let upload = client.post(server.url("/v1/videos?name=a.mp4")).bearer_auth(&token).body("x");
    wait_for(async { Ok(upload.send().await?.error_for_status()?) })?;
    let records = server.data().join("records.sqlite");
    let filled = Command::new("python3").args(["-c", FILL]).arg(records).status()?;
    ensure!(filled.success(), "the records were not filled");
    let ask = async |query: &str| -> Result<Value> {
        let page = client.get(server.url(&format!("/v1/conversions?limit=100{query}")));
        let page = page.bearer_auth(&token).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&page.bytes().await?)?)
    };
    wait_for(async {
        let mut rows = Vec::new();
        for (name, depth, state) in [
            ("a page of 100 of 200,000: the first", 0, ""),
            ("in the middle", 100_000, ""),
            ("the last", 199_800, ""),
            ("of a rare state, the last", 190_000, "&state=failed"),
        ] {
            let cursor = match depth {
                0 => String::new(),
                depth => format!("&cursor={}", id_at(&ask("").await?, depth)?),
            };
            let (query, mut times) = (format!("{cursor}{state}"), Vec::new());
            for _ in 0..TIMES {
                let start = Instant::now();
                let page = ask(&query).await?;
                times.push(start.elapsed().as_secs_f64() * 1000.0);
                ensure!(page["items"].as_array().is_some_and(|items| !items.is_empty()), "{page}");
            }
            rows.push(Row::of_limit(name, median(times), 20.0, "ms"));
        }
        Ok(rows)
    })
}

/// The id of the entry so far below the first, as `FILL` makes them.
fn id_at(first: &Value, depth: u64) -> Result<String> {
    let newest = first["items"][0]["id"].as_str().context("an id")?.replace('-', "");
    let newest = u64::from_str_radix(newest.get(..12).context("a time")?, 16)?;
    let time = format!("{:012x}", newest - depth * 1000);
    Ok(format!("{}-{}-7000-8000-{depth:012x}", &time[..8], &time[8..]))
}
