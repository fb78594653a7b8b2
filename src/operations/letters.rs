//! `dead-letters`: messages that a server has put aside, for admins.

use crate::{
    client::{Client, List},
    command::Context,
    conversions::which::each,
    error::Error,
    server,
    table::table,
    unit,
};
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What to do with dead letters.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the messages that were put aside, and why.
    List,
    /// Puts messages back into their queues, as they were.
    Replay(Which),
    /// Deletes messages.
    Drop(Which),
}

/// Which dead letters.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Their ids.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All that `list` shows: the oldest thousand.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Letter {
    id: String,
    topic: String,
    reason: String,
    at: Option<Timestamp>,
    deliveries: u32,
    body: String,
    length: u64,
    traceparent: Option<String>,
}

const LETTERS: [&str; 2] = ["v1", "dead-letters"];
/// The most that a server lists at once.
const MOST: &str = "1000";
/// So much of a body stands in a table.
const SHOWN: usize = 60;

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    let client = server::signed_in(context).await?;
    match command {
        Command::List => {
            let letters = list(&client).await?;
            if context.json {
                letters.iter().for_each(|each| context.terminal.say(serde_json::json!(each)));
            } else if letters.is_empty() {
                context.terminal.note("There are none.");
            } else {
                context.terminal.say(rows(&letters, Timestamp::now()));
            }
            Ok(())
        }
        Command::Replay(which) => settle(&client, which, "replayed", context).await,
        Command::Drop(which) => settle(&client, which, "dropped", context).await,
    }
}

async fn list(client: &Client) -> Result<Vec<Letter>, Error> {
    let list: List<Letter> = client.get(&LETTERS, &[("limit", MOST.to_owned())]).await?;
    Ok(list.items)
}

/// Those that there are now: what comes back while this goes on is not done again.
async fn settle(
    client: &Client,
    which: &Which,
    fate: &'static str,
    context: &Context,
) -> Result<(), Error> {
    let mut ids = which.ids.clone();
    if which.all {
        // Copies have one id, and go together.
        let all: BTreeSet<_> = list(client).await?.into_iter().map(|letter| letter.id).collect();
        ids = all.into_iter().collect();
    }
    let one = async |id: &String| {
        let (method, path) = match fate {
            "replayed" => (Method::POST, vec!["v1", "dead-letters", id, "replay"]),
            _ => (Method::DELETE, vec!["v1", "dead-letters", id]),
        };
        client.change::<()>(method, &path, None).await?;
        context.show(serde_json::json!({"id": id, "state": fate}), || format!("{id} {fate}"));
        Ok(())
    };
    each(&ids, &context.terminal, "dead letters", one).await.1
}

fn rows(letters: &[Letter], now: Timestamp) -> String {
    let row = |letter: &Letter| {
        [
            letter.id.clone(),
            letter.topic.clone(),
            letter.at.map_or_else(|| "-".to_owned(), |at| unit::since(at, now)),
            letter.deliveries.to_string(),
            letter.reason.clone(),
            letter.body.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect(),
        ]
    };
    table(["ID", "TOPIC", "AGE", "TIMES", "REASON", "BODY"], letters.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_cannot_break_the_table() {
        let letter = Letter {
            id: "1".to_owned(),
            topic: "video".to_owned(),
            reason: "no such file".to_owned(),
            at: None,
            deliveries: 3,
            body: format!("a\n\u{1b}[2J{}", "x".repeat(500)),
            length: 508,
            traceparent: None,
        };
        let text = rows(&[letter], Timestamp::now());
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}') && text.len() < 200, "{text}");
    }
}
