//! `import`: takes over what the system that this one replaces has stored, for operators. It works on the
//! databases themselves, reads the original's and changes nothing there, and may be done again.

use crate::{
    command::Context,
    config::{ImportOfAccounts, ImportOfVideos},
    error::Error,
};
use domain::UserName;
use futures::TryStreamExt;
use queue::{Message, Queue, VideoMessage};
use secrecy::ExposeSecret;
use serde_json::json;
use std::fmt::Display;
use storage::Storage;

/// What to take over.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Adds an account for each row of its MySQL table `user`, with the same password, hashed.
    Accounts,
    /// Has the dispatcher copy each video of its GridFS and convert it.
    Videos(Videos),
}

/// Which videos, and for whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Videos {
    /// Whose they become: the original keeps no owner with a file.
    #[arg(long, value_name = "NAME")]
    owner: UserName,
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Accounts => accounts(context).await,
        Command::Videos(videos) => announce(&videos.owner, context).await,
    }
}

async fn accounts(context: &Context) -> Result<(), Error> {
    let ImportOfAccounts { auth, from } = ImportOfAccounts::from_env()?;
    let auth::Imported { added, known, unusable } =
        auth::import_accounts(&auth, &from).await.map_err(failed("accounts"))?;
    let result = json!({ "added": added, "known": known, "unusable": unusable });
    context.show(result, || {
        let mut text = format!("{added} accounts added, {known} were there already");
        for name in &unusable {
            text.push_str(&format!("\nnot added, since its name or password is too odd: {name}"));
        }
        text
    });
    Ok(())
}

async fn announce(owner: &UserName, context: &Context) -> Result<(), Error> {
    let ImportOfVideos { storage, queue } = ImportOfVideos::from_env()?;
    let storage = Storage::open(storage.expose_secret()).await.map_err(failed("storage"))?;
    let queue = Queue::open(queue.expose_secret()).await.map_err(failed("messages"))?;
    let mut files = storage.foreign_fids().await.map_err(failed("storage"))?;
    let mut announced = 0_u64;
    while let Some(video_fid) = files.try_next().await.map_err(failed("storage"))? {
        let username = Some(owner.to_string());
        let message = VideoMessage { conversion: None, video_fid, username, trace: None };
        queue.publish(&Message::Video(message)).await.map_err(failed("messages"))?;
        announced += 1;
    }
    context.show(json!({ "announced": announced }), || {
        format!("{announced} videos announced; those that are new become {owner}'s")
    });
    Ok(())
}

fn failed<E: Display>(what: &str) -> impl Fn(E) -> Error {
    move |error| Error::failed(format!("{what}: {error}"))
}
