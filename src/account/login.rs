//! `login` and `logout`: what this machine remembers of a server.

use super::{
    logins::Logins,
    password::{self, Password},
};
use crate::{
    client::{Client, Error as ClientError, Me, is_loopback, name},
    command::Context,
    config::Credentials,
    error::Error,
    server,
};
use secrecy::ExposeSecret;

/// Where, and as whom.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter login --server https://audio.example.org\n  \
    audio-converter login --user ada --password-stdin <password\n  \
    audio-converter login --token-stdin <token")]
pub(crate) struct Arguments {
    /// The account's name [default: AUDIO_CONVERTER_USER, or asked].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    password: Password,
    /// Read an API token from standard input instead of signing in.
    #[arg(long, conflicts_with_all = ["user", "password_stdin", "print_token"])]
    token_stdin: bool,
    /// Print the token and remember nothing.
    #[arg(long)]
    print_token: bool,
}

/// Signs in.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let server = server::chosen(context)?;
    if server.scheme() == "http" && !is_loopback(&server) {
        context.terminal.note(format!(
            "{} is not encrypted: whoever is in between reads what is sent.",
            name(&server)
        ));
    }
    let (user, client) = if arguments.token_stdin {
        let token = Credentials::Token(password::line("token").await?);
        let client = server::sign_in(server.clone(), Some(token), context).await?;
        let me: Result<Me, _> = client.get(&["v1", "me"], &[]).await;
        let me = me.map_err(|error| match error {
            ClientError::NotSignedIn(_) => {
                ClientError::NotSignedIn(format!("{} does not accept this token", name(&server)))
            }
            error => error,
        });
        (me?.name, client)
    } else {
        with_password(arguments, server.clone(), context).await?
    };
    let Some(token) = client.token() else {
        return Err(ClientError::unknown(&server, None).into());
    };
    if arguments.print_token {
        context.terminal.say(token.expose_secret());
        return Ok(());
    }
    Logins::read(context.config.folder.as_deref())?.add(&server, user.clone(), token)?;
    context.terminal.note(format!("Signed in to {} as {user}.", name(&server)));
    if context.config.credentials.is_some() {
        context.terminal.note(
            "AUDIO_CONVERTER_TOKEN or AUDIO_CONVERTER_USER is set in the environment, which wins.",
        );
    }
    Ok(())
}

async fn with_password(
    arguments: &Arguments,
    server: reqwest::Url,
    context: &Context,
) -> Result<(String, Client), Error> {
    let known = match &context.config.credentials {
        Some(Credentials::Account { user, password }) => Some((user, password)),
        _ => None,
    };
    let known = known.filter(|(user, _)| arguments.user.as_ref().is_none_or(|name| name == *user));
    let user = arguments.user.clone().or_else(|| known.map(|(user, _)| user.clone()));
    let user =
        match user {
            Some(user) => user,
            None => context.terminal.ask(format!("User at {}: ", name(&server))).await.ok_or_else(
                || Error::Usage("who? --user NAME --password-stdin, or --token-stdin".to_owned()),
            )?,
        };
    let password = match known.filter(|_| !arguments.password.is_given()) {
        Some((_, password)) => password.clone(),
        None => {
            arguments.password.known(&format!("Password of {user}: "), &context.terminal).await?
        }
    };
    let account = Credentials::Account { user: user.clone(), password };
    Ok((user, server::sign_in(server, Some(account), context).await?))
}

/// Forgets a login.
pub(crate) fn logout(context: &Context) -> Result<(), Error> {
    let server = server::chosen(context)?;
    let known = Logins::read(context.config.folder.as_deref())?.remove(&server)?;
    let server = name(&server);
    context.terminal.note(if known {
        format!("The login at {server} is forgotten.")
    } else {
        format!("There is no login at {server}.")
    });
    Ok(())
}
