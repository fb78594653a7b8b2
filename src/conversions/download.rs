//! `download`: the MP3s of conversions that have ended.

use super::which::{Which, each};
use crate::{
    client::{Client, Mp3},
    command::Context,
    error::Error,
    remote, server,
    target::{Existing, Target, is_folder, place},
};
use domain::{FileName, Sha256};
use serde_json::json;
use sha2::Digest;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Which MP3s, and where to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter download @latest\n  \
    audio-converter list --state succeeded --json | jq -r '.items[].id' |\n    \
    xargs audio-converter download -o ~/music/")]
pub(crate) struct Arguments {
    /// The conversions' ids; @latest is the newest.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Which>,
    /// A folder for the MP3s, or for one its file [default: the video's name, in this folder].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    #[command(flatten)]
    existing: Existing,
}

/// Downloads the MP3s.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let out = arguments.out.as_deref();
    if let Some(out) = out.filter(|out| arguments.ids.len() > 1 && !is_folder(out)) {
        let out = out.display();
        return Err(Error::Usage(format!("several MP3s need a folder, and {out} is none")));
    }
    let client = server::signed_in(context).await?;
    let one = async |which: &Which| one(arguments, *which, &client, context).await;
    each(&arguments.ids, &context.terminal, "downloads", one).await.1
}

async fn one(
    arguments: &Arguments,
    which: Which,
    client: &Client,
    context: &Context,
) -> Result<(), Error> {
    let conversion = which.find(client).await?;
    let (id, mp3, terminal) = (conversion.id, remote::result(&conversion)?, &context.terminal);
    // The name comes from the server: it must not lead anywhere.
    let name = FileName::from(conversion.name).mp3();
    let path = place(arguments.out.as_deref(), Path::new(""), name.as_ref());
    let doubt = if is_there(&path, &mp3) { None } else { Some("exists and is another file") };
    let target = Target::choose(path.clone(), doubt, arguments.existing, terminal).await?;
    let state = if target.is_some() { "succeeded" } else { "skipped" };
    if let Some(target) = target {
        remote::download(client, id, &mp3, &target, terminal).await?;
    }
    if state == "skipped" {
        terminal.note(format!("{} is there already (-y replaces it)", path.display()));
    }
    if state == "succeeded" || context.json {
        let value = json!({"conversion": id, "mp3": path.to_string_lossy(), "state": state, "length": mp3.length});
        context.show(value, || path.display().to_string());
    }
    Ok(())
}

/// Whether the file is this MP3.
fn is_there(path: &Path, mp3: &Mp3) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != mp3.length {
            return Ok(false);
        }
        let mut digest = sha2::Sha256::new();
        let mut bytes = vec![0; 256 << 10];
        loop {
            match io::Read::read(&mut file, &mut bytes)? {
                0 => break,
                some => digest.update(&bytes[..some]),
            }
        }
        Ok(Sha256::from(<[u8; 32]>::from(digest.finalize())) == mp3.sha256)
    };
    read().unwrap_or(false)
}
