//! `login`: prints a token, so that scripts need not hold the password.

use crate::{command::Context, error::Error, server::Server};
use secrecy::ExposeSecret;

/// Whose token.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
}

/// Prints a token.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let client = arguments.server.signed_in(context).await?;
    context.terminal.say(client.token().expose_secret());
    Ok(())
}
