//! The command line: which of the processes this one is.

use crate::{
    attempt,
    config::{Config, Voice},
    decoder,
    ending::Ending,
    local,
};
use clap::{Parser, Subcommand};
use std::{process::ExitCode, sync::LazyLock};

/// One video in, one MP3 out, exit.
#[derive(Debug, Parser)]
#[command(name = "converter-job", version, long_version = VERSION.as_str())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// With the FFmpeg that it has found, which may be another than it was built with.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{}\nFFmpeg {}", env!("CARGO_PKG_VERSION"), decoder::ffmpeg_version())
});

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one attempt of a stored conversion, as the environment says.
    Attempt,
    /// Convert a file on this machine.
    Local(local::Arguments),
    /// Decode through standard input and output, for the other commands.
    #[command(hide = true)]
    Decode,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let command = Arguments::parse().command;
    if matches!(command, Command::Decode) {
        return decoder::run();
    }
    let voice = Voice::from_env(matches!(command, Command::Local(_)));
    process::init(&voice.log, voice.format);
    // Not the single-threaded kind: an SQLite query that is dropped half-way, as by a `select!`,
    // blocks its thread until it is done, and that kind panics at it.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let ending = match runtime {
        Ok(runtime) => runtime.block_on(end_of(command)),
        Err(error) => Ending::trouble(error),
    };
    ending.tell(Some(&voice.termination_log));
    ExitCode::from(ending.code)
}

async fn end_of(command: Command) -> Ending {
    let stop = match process::shutdown_on_signal() {
        Ok(stop) => stop,
        Err(error) => return Ending::trouble(error),
    };
    match command {
        Command::Local(arguments) => local::run(&arguments, stop).await,
        Command::Attempt | Command::Decode => match Config::from_env() {
            Ok(config) => attempt::run(&config, stop).await,
            Err(faults) => Ending::usage(faults),
        },
    }
}
