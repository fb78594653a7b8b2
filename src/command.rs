//! The commands, and the way from a parsed command line to the one that runs.

use crate::{
    config::Config, convert, download, error::Error, list, login, serve, status,
    terminal::Terminal, trial,
};
use clap::{Parser, Subcommand};
use process::{LogFormat, shutdown_on_signal};
use tokio_util::sync::CancellationToken;

/// Turns videos into MP3s.
///
/// With a server (--server or AUDIO_CONVERTER_SERVER) videos are uploaded to it; it wants
/// AUDIO_CONVERTER_USER and AUDIO_CONVERTER_PASSWORD, or AUDIO_CONVERTER_TOKEN. Without a server
/// they are converted on this machine.
#[derive(Debug, Parser)]
#[command(name = "audio-converter", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Converts videos to MP3s.
    Convert(convert::Arguments),
    /// Runs the whole system in this process.
    Serve(serve::Arguments),
    /// Shows the whole system at work on one video: starts it, converts over REST, ends it.
    Try(trial::Arguments),
    /// Lists your conversions, newest first.
    List(list::Arguments),
    /// Shows one conversion.
    Status(status::Arguments),
    /// Downloads the MP3 of a conversion.
    Download(download::Arguments),
    /// Prints a token for AUDIO_CONVERTER_TOKEN.
    Login(login::Arguments),
}

/// What every command gets.
pub(crate) struct Context {
    /// From the environment.
    pub(crate) config: Config,
    /// Where to write.
    pub(crate) terminal: Terminal,
    /// Cancelled by the first signal.
    pub(crate) token: CancellationToken,
}

/// Two threads do all that is not blocking: more would only cost memory.
const WORKERS: usize = 2;

/// Runs the command to its end.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::from_env()?;
    let serves = matches!(arguments.command, Command::Serve(_));
    let quiet = if serves { "info" } else { "warn" };
    process::init(config.log.as_deref().unwrap_or(quiet), LogFormat::Text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|cause| Error::failed(format!("cannot start threads: {cause}")))?;
    let result = runtime.block_on(dispatch(arguments.command, config));
    // A question that nobody answers must not keep the process.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, config: Config) -> Result<(), Error> {
    let token = shutdown_on_signal()
        .map_err(|cause| Error::failed(format!("cannot listen to signals: {cause}")))?;
    let context = Context { config, terminal: Terminal::new(), token };
    match command {
        // These two tidy up by themselves when the token is cancelled.
        Command::Serve(arguments) => serve::run(&arguments, &context).await,
        Command::Try(arguments) => trial::run(&arguments, &context).await,
        Command::Convert(arguments) => ended(&context, convert::run(&arguments, &context)).await,
        Command::List(arguments) => ended(&context, list::run(&arguments, &context)).await,
        Command::Status(arguments) => ended(&context, status::run(&arguments, &context)).await,
        Command::Download(arguments) => ended(&context, download::run(&arguments, &context)).await,
        Command::Login(arguments) => ended(&context, login::run(&arguments, &context)).await,
    }
}

/// What `verb` returns, or that it was interrupted: dropping it removes its unfinished files.
async fn ended<T>(
    context: &Context,
    verb: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    context.token.run_until_cancelled(verb).await.unwrap_or(Err(Error::Interrupted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_fit_together() {
        Arguments::command().debug_assert();
    }
}
