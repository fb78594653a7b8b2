//! `audio-converter`: the whole system in one process, and the command line that talks to it.
//!
//! Exit codes: 0 done, 1 something failed, 2 the call was wrong, 4 not signed in, 130 interrupted.

mod change;
mod client;
mod command;
mod config;
mod convert;
mod data;
mod download;
mod embedded;
mod error;
mod list;
mod local;
mod login;
mod logins;
mod manual;
mod password;
mod program;
mod remote;
mod serve;
mod server;
mod status;
mod table;
mod target;
mod terminal;
mod token;
mod tone;
mod trial;
mod unit;
mod user;
mod which;

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
