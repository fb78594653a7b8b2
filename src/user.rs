//! `user`: accounts. Most of it is for admins; everybody changes and deletes the own one.

use crate::{
    client::{Account, Client, List, Me},
    command::Context,
    config::Credentials,
    error::Error,
    logins::Logins,
    password::Password,
    server::{self, Server},
    table::table,
    unit,
};
use jiff::Timestamp;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Which account.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    #[command(flatten)]
    server: Server,
    /// The account.
    name: String,
}

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes an account. Where registration is open nobody need be signed in for it.
    #[command(after_long_help = "Example:\n  audio-converter user add ada --role admin")]
    Add {
        #[command(flatten)]
        of: Of,
        /// user or admin.
        #[arg(long, value_parser = ["user", "admin"])]
        role: Option<String>,
        #[command(flatten)]
        password: Password,
        /// Print the account as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists all accounts.
    List {
        #[command(flatten)]
        server: Server,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Locks an account out, at once.
    Disable(Of),
    /// Lets a disabled account in again.
    Enable(Of),
    /// Makes an account user or admin.
    Role {
        #[command(flatten)]
        of: Of,
        /// user or admin.
        #[arg(value_parser = ["user", "admin"])]
        role: String,
    },
    /// Changes your password, or as an admin that of NAME. Earlier logins end with it.
    Passwd {
        #[command(flatten)]
        server: Server,
        /// The account [default: yours].
        name: Option<String>,
        #[command(flatten)]
        password: Password,
    },
    /// Deletes an account with all its videos. Its name is never given again.
    Delete {
        #[command(flatten)]
        of: Of,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    let terminal = &context.terminal;
    match command {
        Command::Add { of, role, password, json } => {
            let client = of.server.client(context).await?;
            let password =
                password.chosen(&format!("Password for {}: ", of.name), terminal).await?;
            let mut body = json!({"name": of.name, "password": password.expose_secret()});
            if let Some(role) = role {
                body["role"] = json!(role);
            }
            let made = client.change(Method::POST, &["v1", "users"], Some(&body)).await?;
            if *json {
                terminal.say(made)
            } else {
                terminal.note(format!("{} is added.", of.name))
            }
            Ok(())
        }
        Command::List { server, json } => {
            let list = accounts(&server.signed_in(context).await?).await?;
            terminal.say(if *json { json!(list).to_string() } else { rows(&list.items) });
            Ok(())
        }
        Command::Disable(of) => set(of, json!({"disabled": true}), "disabled", context).await,
        Command::Enable(of) => set(of, json!({"disabled": false}), "enabled", context).await,
        Command::Role { of, role } => set(of, json!({"role": role}), role, context).await,
        Command::Passwd { server, name, password } => {
            let client = server.signed_in(context).await?;
            match name {
                Some(name) => {
                    let new =
                        password.chosen(&format!("New password for {name}: "), terminal).await?;
                    patch(&client, name, &json!({"password": new.expose_secret()})).await?;
                    terminal.note(format!("The password of {name} is changed."));
                    Ok(())
                }
                None => own_password(&client, *password, context).await,
            }
        }
        Command::Delete { of, yes } => {
            let client = of.server.signed_in(context).await?;
            let question = format!("Delete {} with all videos and MP3s, for good?", of.name);
            terminal.insist(*yes, question).await?;
            client.change(Method::DELETE, &["v1", "users", &of.name], None::<&()>).await?;
            terminal.note(format!("{} is deleted.", of.name));
            Ok(())
        }
    }
}

async fn set(of: &Of, body: Value, now: &str, context: &Context) -> Result<(), Error> {
    patch(&of.server.signed_in(context).await?, &of.name, &body).await?;
    context.terminal.note(format!("{} is now {now}.", of.name));
    Ok(())
}

async fn patch(client: &Client, name: &str, body: &Value) -> Result<Value, Error> {
    Ok(client.change(Method::PATCH, &["v1", "users", name], Some(body)).await?)
}

/// Changes it and signs in again, for the stored login ends with the old one.
async fn own_password(client: &Client, password: Password, context: &Context) -> Result<(), Error> {
    let terminal = &context.terminal;
    let Me { name } = client.get(&["v1", "me"], &[]).await?;
    let current = password.known(&format!("Current password of {name}: "), terminal).await?;
    let new = password.chosen("New password: ", terminal).await?;
    let body = json!({"current": current.expose_secret(), "new": new.expose_secret()});
    client.change(Method::PUT, &["v1", "users", &name, "password"], Some(&body)).await?;
    terminal.note("The password is changed; every earlier login has ended.");
    if client.is_stored() {
        let account = Credentials::Account { user: name.clone(), password: new };
        let again = server::sign_in(client.server().clone(), Some(account), context).await?;
        if let Some(token) = again.token() {
            Logins::read(context.config.folder.as_deref())?.add(client.server(), name, token)?;
        }
    }
    Ok(())
}

async fn accounts(client: &Client) -> Result<List<Account>, Error> {
    let mut list = List { items: Vec::new(), next: None };
    loop {
        let cursor = list.next.take().map(|cursor| ("cursor", cursor));
        let query: Vec<_> = cursor.into_iter().chain([("limit", "100".to_owned())]).collect();
        let page: List<Account> = client.get(&["v1", "users"], &query).await?;
        list.items.extend(page.items);
        list.next = page.next;
        if list.next.is_none() {
            return Ok(list);
        }
    }
}

fn rows(accounts: &[Account]) -> String {
    let now = Timestamp::now();
    let row = |account: &Account| {
        let state = if account.disabled { "disabled" } else { "enabled" };
        let age = unit::since(account.created_at, now);
        [account.name.clone(), account.role.clone(), state.to_owned(), age]
    };
    table(["NAME", "ROLE", "STATE", "AGE"], accounts.iter().map(row).collect())
}
