//! `user`: accounts. Most of it is for admins; everybody changes and deletes the own one.

use super::{logins::Logins, password::Password};
use crate::{
    client::{Account, Client, List, Me},
    command::Context,
    config::Credentials,
    error::Error,
    server,
    table::table,
    unit,
};
use jiff::Timestamp;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes an account. Where registration is open nobody need be signed in for it.
    Add {
        /// The account.
        name: String,
        /// user or admin.
        #[arg(long, value_parser = ["user", "admin"])]
        role: Option<String>,
        #[command(flatten)]
        password: Password,
    },
    /// Lists all accounts.
    List,
    /// Locks an account out, at once.
    Disable {
        /// The account.
        name: String,
    },
    /// Lets a disabled account in again.
    Enable {
        /// The account.
        name: String,
    },
    /// Makes an account user or admin.
    Role {
        /// The account.
        name: String,
        /// user or admin.
        #[arg(value_parser = ["user", "admin"])]
        role: String,
    },
    /// Changes your password, or as an admin that of NAME. Earlier logins end with it.
    Passwd {
        /// The account [default: yours].
        name: Option<String>,
        #[command(flatten)]
        password: Password,
    },
    /// Deletes an account with all its videos. Its name is never given again.
    Delete {
        /// The account.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::client(context).await?, &context.terminal);
    let changed = match command {
        Command::Add { name, role, password } => {
            let password = password.chosen(&format!("Password for {name}: "), terminal).await?;
            let mut body = json!({"name": name, "password": password.expose_secret()});
            if let Some(role) = role {
                body["role"] = json!(role);
            }
            client.change(Method::POST, &["v1", "users"], Some(&body)).await?
        }
        Command::List => {
            let list = accounts(&client).await?;
            context.show(&list, || rows(&list.items));
            return Ok(());
        }
        Command::Disable { name } => patch(&client, name, json!({"disabled": true})).await?,
        Command::Enable { name } => patch(&client, name, json!({"disabled": false})).await?,
        Command::Role { name, role } => patch(&client, name, json!({"role": role})).await?,
        Command::Passwd { name: None, password } => {
            return own_password(&client, *password, context).await;
        }
        Command::Passwd { name: Some(name), password } => {
            let new = password.chosen(&format!("New password for {name}: "), terminal).await?;
            patch(&client, name, json!({"password": new.expose_secret()})).await?
        }
        Command::Delete { name, yes } => {
            let question = format!("Delete {name} with all videos and MP3s, for good?");
            terminal.insist(*yes, question).await?;
            client.change::<()>(Method::DELETE, &["v1", "users", name], None).await?;
            terminal.note(format!("{name} is deleted."));
            return Ok(());
        }
    };
    context.show(&changed, || rows(std::slice::from_ref(&changed)));
    Ok(())
}

async fn patch(client: &Client, name: &str, body: Value) -> Result<Account, Error> {
    Ok(client.change(Method::PATCH, &["v1", "users", name], Some(&body)).await?)
}

/// Changes it and signs in again, for the stored login ends with the old one.
async fn own_password(client: &Client, password: Password, context: &Context) -> Result<(), Error> {
    let terminal = &context.terminal;
    let Me { name } = client.get(&["v1", "me"], &[]).await?;
    let current = password.known(&format!("Current password of {name}: "), terminal).await?;
    let new = password.chosen("New password: ", terminal).await?;
    let body = json!({"current": current.expose_secret(), "new": new.expose_secret()});
    client.change::<()>(Method::PUT, &["v1", "users", &name, "password"], Some(&body)).await?;
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
