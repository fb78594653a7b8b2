//! `download`: the MP3 of a conversion that has ended.

use crate::{
    command::Context,
    error::Error,
    remote,
    server::Server,
    target::{Existing, Target, place},
};
use domain::{ConversionId, FileName};
use std::path::{Path, PathBuf};

/// Which MP3, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// The conversion's id.
    id: ConversionId,
    /// A file or a folder for the MP3 [default: the video's name, in this folder].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    #[command(flatten)]
    existing: Existing,
}

/// Downloads the MP3.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let client = arguments.server.signed_in(context).await?;
    let conversion = client.conversion(arguments.id).await?;
    let mp3 = remote::result(&conversion)?;
    // The name comes from the server: it must not lead anywhere.
    let name = FileName::from(conversion.name).mp3();
    let path = place(arguments.out.as_deref(), Path::new(""), name.as_ref());
    let target = Target::choose(path, arguments.existing, &context.terminal)?;
    remote::download(&client, arguments.id, &mp3, &target, &context.terminal).await?;
    context.terminal.say(target.path().display());
    Ok(())
}
