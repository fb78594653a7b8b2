//! `waveform`: what an MP3 sounds like, for whoever draws it.

use super::which::Which;
use crate::{
    command::Context,
    error::Error,
    remote, server,
    target::{Existing, Target},
};
use domain::Waveform;
use serde_json::json;
use std::{io::Write, path::PathBuf};

/// Whose waveform, and where to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter waveform @latest | jq .length\n  \
    audio-converter waveform @latest -o film.json")]
pub(crate) struct Arguments {
    /// The conversion's id; @latest is the newest.
    #[arg(value_name = "ID")]
    id: Which,
    /// A file for it [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    existing: Existing,
}

/// Prints the waveform, or writes it.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    let conversion = arguments.id.find(&client).await?;
    remote::result(&conversion)?;
    let id = conversion.id;
    let path = ["v1", "conversions", &id.to_string(), "waveform"];
    let waveform: Waveform = client.get(&path, &[]).await?;
    let text =
        serde_json::to_string(&waveform).map_err(|cause| Error::failed(cause.to_string()))?;
    let Some(out) = &arguments.out else {
        terminal.say(text);
        return Ok(());
    };
    let target = Target::choose(out.clone(), Some("exists"), arguments.existing, terminal).await?;
    let state = if target.is_some() { "succeeded" } else { "skipped" };
    if let Some(target) = target {
        let mut part = target.part()?;
        writeln!(part, "{text}").map_err(|cause| target.fault(&cause))?;
        target.commit(part)?;
    }
    let value = json!({"conversion": id, "waveform": out.to_string_lossy(), "state": state});
    if state == "succeeded" || context.json {
        context.show(value, || out.display().to_string());
    }
    Ok(())
}
