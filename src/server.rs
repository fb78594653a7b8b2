//! Which server a command talks to, and as whom. The command line wins over the environment, the
//! environment over what is stored.

use crate::{
    account::logins::Logins,
    client::{Client, Error as ClientError, Patience, patiently},
    command::Context,
    config::Credentials,
    error::Error,
};
use reqwest::Url;

/// What the command line or the environment names.
pub(crate) fn named(context: &Context) -> Option<Url> {
    context.server.clone().or_else(|| context.config.server.clone())
}

/// What is named, else the server of the last login.
pub(crate) fn chosen(context: &Context) -> Result<Url, Error> {
    let named = match named(context) {
        Some(server) => Some(server),
        None => Logins::read(context.config.folder.as_deref())?.newest(),
    };
    let server = named.ok_or_else(|| {
        Error::Usage(
            "which server? `audio-converter login --server URL` signs in to one; --server and \
             AUDIO_CONVERTER_SERVER name one"
                .to_owned(),
        )
    })?;
    if server.has_host() && ["http", "https"].contains(&server.scheme()) {
        return Ok(server);
    }
    Err(Error::Usage(format!("{server} is no server's address; that is http://HOST:PORT")))
}

/// A client of the chosen server that is somebody.
pub(crate) async fn signed_in(context: &Context) -> Result<Client, Error> {
    let client = client(context).await?;
    match client.token() {
        Some(_) => Ok(client),
        None => Err(ClientError::unknown(client.server(), None).into()),
    }
}

/// A client of the chosen server; it may be nobody.
pub(crate) async fn client(context: &Context) -> Result<Client, Error> {
    let server = chosen(context)?;
    let credentials = match &context.config.credentials {
        Some(credentials) => Some(credentials.clone()),
        None => {
            let logins = Logins::read(context.config.folder.as_deref())?;
            logins.token(&server).map(Credentials::Stored)
        }
    };
    sign_in(server, credentials, context).await
}

/// A client of this server. Patience is short: the address may be wrong.
pub(crate) async fn sign_in(
    server: Url,
    credentials: Option<Credentials>,
    context: &Context,
) -> Result<Client, Error> {
    let told = |error: &_, _| context.terminal.note(format!("{error}; trying again"));
    let attempt = async || Client::sign_in(server.clone(), credentials.clone()).await;
    Ok(patiently(Patience::Short, told, attempt).await?)
}
