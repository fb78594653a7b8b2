//! Small uploads by eight clients that never pause: how many a second, and whether each is there
//! afterwards. The dispatcher starts a converter for each meanwhile, as it always does.

use crate::{
    Result,
    report::Row,
    server::{Server, wait_for},
};
use anyhow::{Context, anyhow, ensure};
use reqwest::Client;
use serde_json::Value;
use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

const CLIENTS: usize = 8;
const FOR: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    let token = server.sign_in()?;
    let start = Instant::now();
    let told = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| wait_for(client(&server, &token)))).collect();
        let ended = clients.into_iter().map(|one| one.join().map_err(|_| anyhow!("a panic"))?);
        ended.collect::<Result<Vec<_>>>()
    })?;
    let rate = |count: usize| count as f64 / start.elapsed().as_secs_f64();
    let told: HashSet<String> = told.into_iter().flatten().collect();
    let rate = rate(told.len());
    let known = wait_for(all(&server, &token))?;
    let lost = told.difference(&known).count();
    Ok(vec![
        Row::of_floor("uploads of 1 KB a second by 8 clients", rate, 300.0, "1/s"),
        Row::of_limit("of them lost", lost as f64, 0.0, ""),
    ])
}

async fn client(server: &Server, token: &str) -> Result<Vec<String>> {
    let (client, end, mut told) = (Client::new(), Instant::now() + FOR, Vec::new());
    while Instant::now() < end {
        let upload = client.post(server.url("/v1/videos?name=a.mp4")).bearer_auth(token);
        let answer = upload.body(vec![7; 1000]).send().await?;
        ensure!(answer.status() == 202, "{answer:?}");
        let made: Value = serde_json::from_slice(&answer.bytes().await?)?;
        told.push(made["id"].as_str().context("an id")?.to_owned());
    }
    Ok(told)
}

/// Every conversion that the list shows.
async fn all(server: &Server, token: &str) -> Result<HashSet<String>> {
    let (client, mut ids, mut cursor) = (Client::new(), HashSet::new(), String::new());
    loop {
        let path = format!("/v1/conversions?limit=100{cursor}");
        let page = client.get(server.url(&path)).bearer_auth(token).send().await?;
        let page: Value = serde_json::from_slice(&page.error_for_status()?.bytes().await?)?;
        let items = page["items"].as_array().context("items")?;
        ids.extend(items.iter().filter_map(|item| Some(item["id"].as_str()?.to_owned())));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}
