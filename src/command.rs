//! The commands, and the way from a parsed command line to the one that runs.

use crate::{
    account::{login, token, user},
    config::Config,
    conversions::{change, download, list, report, status, waveform},
    convert,
    error::Error,
    manual,
    operations::{batch, dispatching, doctor, import, letters, reprocess},
    serve,
    terminal::Terminal,
    trial,
};
use clap::{Parser, Subcommand};
use process::{LogFormat, shutdown_on_signal};
use reqwest::Url;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// Turns videos into MP3s: on this machine, or through a server.
#[derive(Debug, Parser)]
#[command(name = "audio-converter", version, after_long_help = HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The server [default: AUDIO_CONVERTER_SERVER, else the last login's; for convert this machine].
    #[arg(long, value_name = "URL", global = true, help_heading = EVERYWHERE)]
    server: Option<Url>,
    /// Print results as JSON.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

const EVERYWHERE: &str = "Options of every command";

const HELP: &str = "\
Examples:
  audio-converter convert film.mp4                  # here, without a server
  audio-converter convert ~/films -o ~/music        # a whole tree, on all cores
  audio-converter login --server https://audio.example.org
  audio-converter convert film.mp4 --server https://audio.example.org
  audio-converter list --state failed --since 2d
  audio-converter retry --failed

Environment:
  AUDIO_CONVERTER_SERVER    the server; else that of the last login (convert: this machine)
  AUDIO_CONVERTER_TOKEN     a token, as from `token create`; wins over the account
  AUDIO_CONVERTER_USER, AUDIO_CONVERTER_PASSWORD (or AUDIO_CONVERTER_PASSWORD_FILE)
                            the account; wins over a stored login
  CONVERTER_JOB             the converter-job program, where it does not lie beside this one
  LOG, NO_COLOR             what is logged, as in info; no colour

Exit codes:
  0    done
  1    something failed
  2    the call was wrong; nothing was done
  4    not signed in
  130  interrupted

Results go to standard output, all else to standard error.";

const USERS: &str = "\
Examples:
  audio-converter user add ada --role admin
  audio-converter user passwd
  audio-converter user disable bob";

const BATCHES: &str = "\
Examples:
  audio-converter batch list
  audio-converter batch show louder --wait
  audio-converter batch pause louder";

const LETTERS: &str = "\
Examples:
  audio-converter dead-letters list
  audio-converter dead-letters replay --all
  audio-converter dead-letters drop 01890a5d-ac96-774b-bcce-b302099a8057";

const IMPORTS: &str = "\
Examples:
  AUTH_DATABASE_URL=mysql://.. IMPORT_ACCOUNTS_URL=mysql://.. audio-converter import accounts
  STORAGE_URL=mongodb://.. QUEUE_URL=amqp://.. audio-converter import videos --owner ada@example.org

Addresses may stand in files that AUTH_DATABASE_URL_FILE and so on name. Both may be done again.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Converts videos to MP3s.
    Convert(convert::Arguments),
    /// Lists your conversions, newest first.
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Shows conversions, or waits for them.
    Status(status::Arguments),
    /// Downloads the MP3s of conversions.
    Download(download::Arguments),
    /// Tells how MP3s were made, and of what.
    Report(report::Arguments),
    /// Prints the waveform of an MP3, as JSON in the form of audiowaveform.
    Waveform(waveform::Arguments),
    /// Converts again what failed or was cancelled.
    Retry(change::Retry),
    /// Calls conversions off.
    Cancel(change::Cancel),
    /// Deletes the videos of conversions, with their conversions and MP3s.
    #[command(visible_alias = "rm")]
    Delete(change::Delete),
    /// Signs in to a server, and remembers it.
    Login(login::Arguments),
    /// Forgets the login at a server.
    Logout,
    /// Personal API tokens, for scripts.
    #[command(subcommand)]
    Token(token::Command),
    /// Accounts.
    #[command(subcommand, after_long_help = USERS)]
    User(user::Command),
    /// Converts stored videos that match once more, for admins.
    Reprocess(reprocess::Arguments),
    /// What `reprocess` has begun, for admins.
    #[command(subcommand, after_long_help = BATCHES)]
    Batch(batch::Command),
    /// The switch that stops giving waiting conversions jobs, for admins.
    #[command(subcommand)]
    Dispatching(dispatching::Command),
    /// Messages that a server has put aside, for admins.
    #[command(subcommand, after_long_help = LETTERS)]
    DeadLetters(letters::Command),
    /// Takes over accounts and videos of the system that this one replaces, for operators.
    #[command(subcommand, after_long_help = IMPORTS)]
    Import(import::Command),
    /// Looks at all that a running system needs, and says what to do about what is wrong, for operators.
    #[command(after_long_help = doctor::HELP)]
    Doctor(doctor::Arguments),
    /// Runs the whole system in this process.
    Serve(serve::Arguments),
    /// Shows the whole system at work on one video: starts it, converts over REST, ends it.
    Try(trial::Arguments),
    /// Prints what makes a shell complete these commands.
    Completions(manual::Completions),
    /// Prints the manual page.
    Man,
}

/// What every command gets.
pub(crate) struct Context {
    /// From the environment.
    pub(crate) config: Config,
    /// The server that the command line names.
    pub(crate) server: Option<Url>,
    /// Whether results are for programs.
    pub(crate) json: bool,
    /// Where to write.
    pub(crate) terminal: Terminal,
    /// Cancelled by the first signal.
    pub(crate) token: CancellationToken,
}

impl Context {
    /// Writes a result: for programs, or for people.
    pub(crate) fn show(&self, value: impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            self.terminal.say(serde_json::json!(value));
        } else {
            self.terminal.say(text());
        }
    }
}

/// Two threads do all that is not blocking: more would only cost memory.
const WORKERS: usize = 2;

/// Runs the command to its end.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::from_env()?;
    let quiet = match arguments.command {
        Command::Serve(_) => "info",
        // What it finds is its result.
        Command::Doctor(_) => "off",
        _ => "warn",
    };
    process::init(config.log.as_deref().unwrap_or(quiet), LogFormat::Text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|cause| Error::failed(format!("cannot start threads: {cause}")))?;
    let result = runtime.block_on(dispatch(arguments, config));
    // A question that nobody answers must not keep the process.
    runtime.shutdown_background();
    result
}

async fn dispatch(arguments: Arguments, config: Config) -> Result<(), Error> {
    let token = shutdown_on_signal()
        .map_err(|cause| Error::failed(format!("cannot listen to signals: {cause}")))?;
    let Arguments { command, server, json } = arguments;
    let context = Context { config, server, json, terminal: Terminal::new(), token };
    match command {
        // These tidy up by themselves when the token is cancelled.
        Command::Serve(arguments) => serve::run(&arguments, &context).await,
        Command::Try(arguments) => trial::run(&arguments, &context).await,
        Command::Convert(arguments) => convert::run(&arguments, &context).await,
        Command::List(arguments) => ended(&context, list::run(&arguments, &context)).await,
        Command::Status(arguments) => ended(&context, status::run(&arguments, &context)).await,
        Command::Download(arguments) => ended(&context, download::run(&arguments, &context)).await,
        Command::Report(arguments) => ended(&context, report::run(&arguments, &context)).await,
        Command::Waveform(arguments) => ended(&context, waveform::run(&arguments, &context)).await,
        Command::Retry(arguments) => ended(&context, change::retry(&arguments, &context)).await,
        Command::Cancel(arguments) => ended(&context, change::cancel(&arguments, &context)).await,
        Command::Delete(arguments) => ended(&context, change::delete(&arguments, &context)).await,
        Command::Login(arguments) => ended(&context, login::run(&arguments, &context)).await,
        Command::Logout => login::logout(&context),
        Command::Token(command) => ended(&context, token::run(&command, &context)).await,
        Command::User(command) => ended(&context, user::run(&command, &context)).await,
        Command::Reprocess(arguments) => {
            ended(&context, reprocess::run(&arguments, &context)).await
        }
        Command::Batch(command) => ended(&context, batch::run(&command, &context)).await,
        Command::Dispatching(command) => ended(&context, dispatching::run(command, &context)).await,
        Command::DeadLetters(command) => ended(&context, letters::run(&command, &context)).await,
        Command::Import(command) => ended(&context, import::run(&command, &context)).await,
        Command::Doctor(arguments) => ended(&context, doctor::run(&arguments, &context)).await,
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man => manual::man(),
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
