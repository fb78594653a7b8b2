//! `batch`: how far batches are; they are paused, resumed and cancelled.

use crate::{
    client::{Client, List},
    command::Context,
    conversions::which::each,
    error::Error,
    server,
    table::table,
    terminal::Scale,
    unit,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};

/// What to do with batches.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists all batches.
    List,
    /// Shows batches, or waits for their end.
    Show {
        /// Their names.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Wait for their end; exit code 0 only when nothing failed.
        #[arg(short, long)]
        wait: bool,
    },
    /// Gives their conversions no further job; what runs goes on.
    Pause(Which),
    /// Goes on with them.
    Resume(Which),
    /// Calls off what has not ended. MP3s that are there stay.
    Cancel(Which),
}

/// Which batches.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Their names.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// A batch, as far as the command line reads it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Batch {
    pub(super) id: String,
    preset: String,
    state: String,
    found: u64,
    queued: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// Where batches are in the API.
pub(super) const BATCHES: [&str; 2] = ["v1", "batches"];
/// Between two looks of whoever waits: a batch takes minutes.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    let change = async |which: &Which, change: &str| {
        let one = async |id: &String| {
            Ok(client.repeat::<Batch>(&[BATCHES[0], BATCHES[1], id, change], None).await?)
        };
        let (changed, result) = each(&which.ids, terminal, "batches", one).await;
        show(&changed, context);
        result
    };
    match command {
        Command::List => {
            let list: List<Batch> = client.get(&BATCHES, &[]).await?;
            if list.items.is_empty() && !context.json {
                terminal.note("There are none.");
            }
            show(&list.items, context);
            Ok(())
        }
        Command::Show { ids, wait: true } => {
            each(ids, terminal, "batches", async |id: &String| wait(&client, id, context).await)
                .await
                .1
        }
        Command::Show { ids, wait: false } => {
            let one = async |id: &String| look(&client, id).await;
            let (found, result) = each(ids, terminal, "batches", one).await;
            show(&found, context);
            result
        }
        Command::Pause(which) => change(which, "pause").await,
        Command::Resume(which) => change(which, "resume").await,
        Command::Cancel(which) => change(which, "cancel").await,
    }
}

async fn look(client: &Client, id: &str) -> Result<Batch, Error> {
    Ok(client.get(&[BATCHES[0], BATCHES[1], id], &[]).await?)
}

/// Waits until a batch has come to its end, and prints it. An error where something of it failed.
pub(super) async fn wait(client: &Client, id: &str, context: &Context) -> Result<(), Error> {
    let bar = context.terminal.bar(format!("batch {id}"), Scale::Percent);
    let batch = loop {
        let batch = look(client, id).await?;
        if batch.finished_at.is_some() {
            break batch;
        }
        bar.reach(percent(&batch));
        bar.remark(if batch.state == "paused" { "paused" } else { "" });
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    drop(bar);
    let (state, failed) = (batch.state.clone(), batch.failed);
    show(&[batch], context);
    match failed {
        0 if state == "done" => Ok(()),
        0 => Err(Error::failed(format!("batch {id} was {state}"))),
        failed => Err(Error::failed(format!("{failed} conversions of batch {id} failed"))),
    }
}

/// Of what has been found so far.
fn percent(batch: &Batch) -> u64 {
    let ended = batch.succeeded + batch.failed + batch.cancelled;
    ended * 100 / (ended + batch.queued + batch.running).max(1)
}

/// Shows batches: as a table, or each as a line of JSON.
pub(super) fn show(batches: &[Batch], context: &Context) {
    if context.json {
        batches.iter().for_each(|each| context.terminal.say(serde_json::json!(each)));
    } else if !batches.is_empty() {
        context.terminal.say(rows(batches, Timestamp::now()));
    }
}

fn rows(batches: &[Batch], now: Timestamp) -> String {
    let head = [
        "ID",
        "PRESET",
        "STATE",
        "FOUND",
        "WAITING",
        "RUNNING",
        "DONE",
        "FAILED",
        "CANCELLED",
        "AGE",
    ];
    let row = |batch: &Batch| {
        let counts = [
            batch.found,
            batch.queued,
            batch.running,
            batch.succeeded,
            batch.failed,
            batch.cancelled,
        ];
        let [found, queued, running, succeeded, failed, cancelled] = counts.map(|n| n.to_string());
        let age = unit::since(batch.created_at, now);
        let (id, preset, state) = (batch.id.clone(), batch.preset.clone(), batch.state.clone());
        [id, preset, state, found, queued, running, succeeded, failed, cancelled, age]
    };
    table(head, batches.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_how_far_it_is() {
        let batch: Batch = serde_json::from_value(serde_json::json!({
            "id": "louder", "by": "root", "preset": "v0", "state": "running", "found": 9,
            "skipped": 1, "walked": true, "queued": 1, "running": 2, "succeeded": 3, "failed": 1,
            "cancelled": 1, "created_at": "2026-11-23T06:00:00Z", "finished_at": null,
        }))
        .unwrap();
        assert_eq!(percent(&batch), 62);
        let text = rows(&[batch], "2026-11-23T06:01:00Z".parse().unwrap());
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["louder", "v0", "running", "9", "1", "2", "3", "1", "1", "60s"]);
    }
}
