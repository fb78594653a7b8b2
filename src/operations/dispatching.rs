//! `dispatching`: the switch that stops the dispatcher, while uploads are accepted all the same.

use crate::{command::Context, error::Error, server};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What to do with dispatching.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Tells whether waiting conversions are given jobs.
    Show,
    /// Gives no further conversion a job; what runs goes on, and uploads are accepted.
    Pause,
    /// Gives waiting conversions jobs again.
    Resume,
}

#[derive(Debug, Deserialize, Serialize)]
struct Switch {
    paused: bool,
    by: Option<String>,
    at: Option<Timestamp>,
}

/// Does it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Error> {
    let client = server::signed_in(context).await?;
    let switch: Switch = match command {
        Command::Show => client.get(&["v1", "dispatching"], &[]).await?,
        Command::Pause => client.repeat(&["v1", "dispatching", "pause"], None).await?,
        Command::Resume => client.repeat(&["v1", "dispatching", "resume"], None).await?,
    };
    context.show(&switch, || text(&switch));
    Ok(())
}

fn text(switch: &Switch) -> String {
    let state = if switch.paused { "paused" } else { "running" };
    match (&switch.by, switch.at) {
        (Some(by), Some(at)) => format!("dispatching is {state} since {at:.0}, by {by}"),
        _ => format!("dispatching is {state}"),
    }
}
