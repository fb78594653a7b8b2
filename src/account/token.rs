//! `token`: personal API tokens, for scripts and CI.

use crate::{
    client::{ApiToken, List},
    command::Context,
    conversions::which::each,
    error::Error,
    server,
    table::table,
    unit,
};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a token and prints it, this once.
    #[command(after_long_help = "Example:\n  \
        AUDIO_CONVERTER_TOKEN=$(audio-converter token create backup --days 365)")]
    Create {
        /// What it is for.
        name: String,
        /// It ends after so many days [default: never].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// Lists your tokens.
    List,
    /// Makes tokens worthless, at once.
    Revoke {
        /// The tokens' ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

const TOKENS: [&str; 2] = ["v1", "tokens"];

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    match command {
        Command::Create { name, days } => {
            let body = json!({"name": name, "expires_in_days": days});
            let made = client.change::<Value>(Method::POST, &TOKENS, Some(&body)).await?;
            context.show(&made, || made["token"].as_str().unwrap_or_default().to_owned());
            terminal.note("It is shown only this once; keep it like a password.");
            Ok(())
        }
        Command::List => {
            let list: List<ApiToken> = client.get(&TOKENS, &[]).await?;
            context.show(&list, || rows(&list.items));
            Ok(())
        }
        Command::Revoke { ids } => {
            let revoke = async |id: &String| {
                client.change::<()>(Method::DELETE, &["v1", "tokens", id], None).await?;
                terminal.note(format!("{id} is revoked."));
                Ok(())
            };
            each(ids, terminal, "revocations", revoke).await.1
        }
    }
}

fn rows(tokens: &[ApiToken]) -> String {
    let now = Timestamp::now();
    let row = |token: &ApiToken| {
        let ends = token.expires_at.map_or_else(|| "never".to_owned(), |ends| ends.to_string());
        [token.id.clone(), token.name.clone(), unit::since(token.created_at, now), ends]
    };
    table(["ID", "NAME", "AGE", "EXPIRES"], tokens.iter().map(row).collect())
}
