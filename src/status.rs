//! `status`: one conversion, now or until its end.

use crate::{command::Context, error::Error, list, remote, server::Server, terminal::Scale};
use domain::ConversionId;
use jiff::Timestamp;

/// Which conversion.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// The conversion's id.
    id: ConversionId,
    /// Wait for its end; exit code 0 only when there is an MP3.
    #[arg(long)]
    wait: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "wait")]
    json: bool,
}

/// Prints the conversion.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let client = arguments.server.signed_in(context).await?;
    let mut conversion = client.conversion(arguments.id).await?;
    if arguments.json {
        context.terminal.say(serde_json::json!(conversion));
        return Ok(());
    }
    if arguments.wait {
        let bar = context.terminal.bar(format!("converting {}", conversion.name), Scale::Percent);
        conversion = remote::wait(&client, arguments.id, bar).await?;
    }
    context.terminal.say(list::table(std::slice::from_ref(&conversion), Timestamp::now()));
    if arguments.wait { remote::result(&conversion).map(drop) } else { Ok(()) }
}
