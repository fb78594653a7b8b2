//! Which server a command talks to, and as whom.

use crate::{
    client::{Client, Patience, patiently},
    command::Context,
    config::Config,
    error::Error,
    terminal::Terminal,
};
use reqwest::Url;

/// The server of a command that needs one.
#[derive(Debug, clap::Args)]
#[group(id = "which-server")]
pub(crate) struct Server {
    /// The server's address [default: AUDIO_CONVERTER_SERVER].
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
}

impl Server {
    /// A client of the server that the command line or the environment names.
    pub(crate) async fn signed_in(&self, context: &Context) -> Result<Client, Error> {
        let named = self.server.clone().or_else(|| context.config.server.clone());
        let server = named.ok_or_else(|| {
            Error::Usage(
                "which server? Name it with --server http://HOST:PORT or AUDIO_CONVERTER_SERVER"
                    .to_owned(),
            )
        })?;
        sign_in(server, &context.config, &context.terminal).await
    }
}

/// A client of this server. Patience is short: the address may be wrong.
pub(crate) async fn sign_in(
    server: Url,
    config: &Config,
    terminal: &Terminal,
) -> Result<Client, Error> {
    let told = |error: &_, _| terminal.note(format!("{error}; trying again"));
    let attempt = async || Client::sign_in(server.clone(), config.credentials.as_ref()).await;
    Ok(patiently(Patience::Short, told, attempt).await?)
}
