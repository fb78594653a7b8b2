//! `completions` and `man`: what shells and readers learn from the commands' definition.

use crate::{command::Arguments, error::Error};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use std::io::{self, Write};

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  \
    audio-converter completions bash >~/.local/share/bash-completion/completions/audio-converter")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints the completions.
pub(crate) fn completions(arguments: &Completions) -> Result<(), Error> {
    let mut text = Vec::new();
    generate(arguments.shell, &mut Arguments::command(), "audio-converter", &mut text);
    print(&text)
}

/// Prints the manual page.
pub(crate) fn man() -> Result<(), Error> {
    match page() {
        Ok(text) => print(&text),
        Err(cause) => Err(Error::failed(format!("cannot write the page: {cause}"))),
    }
}

/// One page: the program, then every command in a section of its own.
fn page() -> io::Result<Vec<u8>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut text = Vec::new();
    let man = Man::new(program.clone());
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    for command in program.get_subcommands() {
        section(command, &mut text)?;
    }
    notes(&man, ".SH NOTES", &mut text)?;
    Ok(text)
}

fn section(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
    let (man, mut part) = (Man::new(command.clone()), Vec::new());
    man.render_description_section(&mut part)?;
    man.render_synopsis_section(&mut part)?;
    man.render_options_section(&mut part)?;
    // A command's sections stand below the command.
    text.write_all(String::from_utf8_lossy(&part).replace("\n.SH ", "\n.SS ").as_bytes())?;
    if command.get_after_long_help().is_some() {
        notes(&man, ".SS NOTES", text)?;
    }
    command.get_subcommands().try_for_each(|below| section(below, text))
}

/// The end of the help, whose lines are lines.
fn notes(man: &Man, head: &str, text: &mut Vec<u8>) -> io::Result<()> {
    let mut notes = Vec::new();
    man.render_extra_section(&mut notes)?;
    let notes = String::from_utf8_lossy(&notes).replace(".SH EXTRA", &format!("{head}\n.nf"));
    writeln!(text, "{}\n.fi", notes.trim_end())
}

fn print(text: &[u8]) -> Result<(), Error> {
    match io::stdout().lock().write_all(text) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("cannot write: {cause}")))
        }
        _ => Ok(()),
    }
}
