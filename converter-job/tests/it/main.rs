//! The program as its users meet it: files in, files out, exit codes, records.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a failed unwrap is a failed test"
)]

mod attempt;
mod beside;
mod copy;
mod cut;
mod decoder;
mod gaps;
mod lengths;
mod local;
mod loudness;
mod material;
mod matrix;
mod music;
mod mutated;
mod options;
mod program;
mod refused;
mod reservoir;
mod tags;
mod threads;
