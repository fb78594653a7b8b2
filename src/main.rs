//! `audio-converter`: the whole system in one process, and the command line that talks to it.
//!
//! Exit codes: 0 done, 1 something failed, 2 the call was wrong, 4 not signed in, 130 interrupted.

mod account;
mod client;
mod command;
mod config;
mod conversions;
mod convert;
mod data;
mod embedded;
mod error;
mod local;
mod manual;
mod operations;
mod program;
mod remote;
mod serve;
mod server;
mod table;
mod target;
mod terminal;
mod tone;
mod trial;
mod unit;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run(command::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::from(error.exit())
        }
    }
}
