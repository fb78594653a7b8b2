//! `status`: conversions, now or at their end.

use super::{
    list,
    which::{Which, each},
};
use crate::{command::Context, error::Error, remote, server, terminal::Scale};

/// Which conversions.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter status @latest\n  \
    audio-converter status ID --wait && audio-converter download ID")]
pub(crate) struct Arguments {
    /// The conversions' ids; @latest is the newest.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Which>,
    /// Wait for their end; exit code 0 only when all have an MP3.
    #[arg(short, long)]
    wait: bool,
}

/// Prints the conversions.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    let (shown, found) = each(&arguments.ids, terminal, "conversions", async |which: &Which| {
        let conversion = which.find(&client).await?;
        if !arguments.wait || conversion.state.is_terminal() {
            return Ok(conversion);
        }
        let bar = terminal.bar(format!("converting {}", conversion.name), Scale::Percent);
        remote::wait(&client, conversion.id, bar).await
    })
    .await;
    list::show(&shown, context);
    found?;
    if !arguments.wait {
        return Ok(());
    }
    let ends = async |conversion: &_| remote::result(conversion).map(drop);
    each(&shown, terminal, "conversions", ends).await.1
}
