//! The command line: without a command it serves; `user add` adds an account, `keys rotate` makes
//! the next signing key.

use anyhow::{Context, Result};
use auth::{Config, Error, Server, config, parse_role};
use clap::{Parser, Subcommand};
use domain::{Role, UserName};
use secrecy::{ExposeSecret, SecretString};
use std::io::{self, BufRead};

/// Accounts, passwords and tokens of the audio converter.
#[derive(Parser)]
#[command(name = "auth", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Changes who has an account.
    #[command(subcommand)]
    User(UserCommand),
    /// Changes what signs the tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Makes the next signing key. It is published at once and signs after
    /// `AUTH_KEY_LEAD_SECONDS`; nobody is logged out.
    Rotate,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Adds an account. Its password comes from `AUTH_PASSWORD`, from the file that
    /// `AUTH_PASSWORD_FILE` names, or from the first line of standard input.
    Add {
        /// The account's name.
        name: UserName,
        /// What it may do: user or admin.
        #[arg(long, default_value = "user", value_parser = parse_role)]
        role: Role,
    },
}

/// Runs the command to its end.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let config = Config::from_env()?;
    process::init(&config.log, config.log_format);
    match arguments.command {
        None => serve(config).await,
        Some(Command::User(UserCommand::Add { name, role })) => {
            auth::add_account(&config, &name, role, password()?).await?;
            eprintln!("added {name}");
            Ok(())
        }
        Some(Command::Keys(KeysCommand::Rotate)) => {
            let key = auth::rotate_keys(&config).await?;
            eprintln!("made the key {}; it signs from {}", key.kid, key.signs_from);
            Ok(())
        }
    }
}

async fn serve(config: Config) -> Result<()> {
    let shutdown = process::shutdown_on_signal().context("cannot listen to signals")?;
    let admin = process::admin::Admin::open("auth", config.admin_listen, shutdown.clone()).await?;
    let open = async || Server::open(config.clone()).await;
    let Some(server) = admin.patiently(Error::may_pass, open).await? else { return Ok(()) };
    admin.ask(server.probe());
    if let Some(first) = server.first_account() {
        // Plainly and once, whatever the log's filter: nobody can ask for it later.
        let password = first.password.expose_secret();
        eprintln!("Made the first account. Name: {}  Password: {password}", first.name);
    }
    tracing::info!(address = %server.address(), "auth is listening");
    Ok(server.run(shutdown).await?)
}

fn password() -> Result<SecretString> {
    if let Some(password) = config::password_from_env()? {
        return Ok(password);
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
