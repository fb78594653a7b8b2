//! One video in, one MP3 out, exit.
//!
//! The program is two processes. The *attempt* holds storage, claims the conversion and commits its
//! end, and parses no media; or it stands for a file on this machine. The *decoder*, which it
//! starts, sees nothing but two pipes and is the only place where hostile bytes are parsed.

mod attempt;
mod command;
mod config;
mod decoder;
mod ending;
mod local;
mod protocol;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
