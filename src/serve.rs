//! `serve`: the whole system in this process, until a signal.

use crate::{command::Context, data::Data, embedded::Embedded, error::Error};
use auth::FirstAccount;
use secrecy::ExposeSecret;
use std::{net::SocketAddr, path::PathBuf};

/// Where to listen, and where data lie.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder for videos, MP3s and accounts; made where missing.
    #[arg(long, value_name = "FOLDER", default_value = "./data")]
    data: PathBuf,
}

/// Runs until a signal or until a part fails.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let data = Data::take(&arguments.data)?;
    let folder = data.folder().display().to_string();
    let stop = context.token.clone();
    let system = Embedded::open(arguments.listen, data, &context.config, stop).await?;
    let url = format!("http://{}", system.address());
    context.terminal.say(welcome(&url, &folder, system.first_account()));
    if !arguments.listen.ip().is_loopback() {
        context.terminal.note(
            "Others can reach this address, and what they send is not encrypted: put a proxy with \
             TLS before it.",
        );
    }
    system.run().await
}

/// What a user sees first.
fn welcome(url: &str, folder: &str, first: Option<&FirstAccount>) -> String {
    let (user, password) = match first {
        Some(first) => (first.name.to_string(), first.password.expose_secret()),
        None => ("NAME".to_owned(), "PASSWORD"),
    };
    let account = match first {
        Some(_) => format!(
            "\n  Your account {user} has the password {password}\n  \
             It is shown only this once; write it down.\n"
        ),
        None => String::new(),
    };
    format!(
        "\n  Listening on {url}\n  Data lie in {folder}\n{account}\n  \
         In another terminal:\n\n    \
         export AUDIO_CONVERTER_SERVER={url}\n    \
         export AUDIO_CONVERTER_USER={user} AUDIO_CONVERTER_PASSWORD={password}\n    \
         audio-converter convert film.mp4\n\n  \
         Ctrl-C ends it.\n"
    )
}
