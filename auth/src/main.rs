//! `auth`: the service of accounts and tokens, and the commands that change them directly.

mod command;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match command::run(command::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auth: {error:#}");
            ExitCode::FAILURE
        }
    }
}
