//! `retry`, `cancel` and `delete`: what changes conversions that are there.

use super::{
    list,
    which::{Which, each},
};
use crate::{client::Conversion, command::Context, error::Error, server};
use domain::{ConversionId, State};
use reqwest::Method;
use serde_json::json;

/// What to try again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Repeating a retry gives the conversion that the first one made.\n\n\
    Examples:\n  \
    audio-converter retry @latest\n  \
    audio-converter retry --failed")]
pub(crate) struct Retry {
    /// The conversions' ids; @latest is the newest.
    #[arg(value_name = "ID", required_unless_present = "failed")]
    ids: Vec<Which>,
    /// All of yours that failed.
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
}

/// What to call off.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  audio-converter cancel @latest")]
pub(crate) struct Cancel {
    /// The conversions' ids; @latest is the newest.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Which>,
}

/// What to delete.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  audio-converter delete @latest -y")]
pub(crate) struct Delete {
    /// The conversions' ids; @latest is the newest.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Which>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Makes new conversions of the same videos.
pub(crate) async fn retry(arguments: &Retry, context: &Context) -> Result<(), Error> {
    let client = server::signed_in(context).await?;
    let mut ids = arguments.ids.clone();
    if arguments.failed {
        let failed = Some(State::Failed.as_str());
        let list = list::conversions(&client, failed, None, usize::MAX).await?;
        ids = list.items.iter().map(|each| Which::Id(each.id)).collect();
        if ids.is_empty() {
            context.terminal.note("None has failed.");
        }
    }
    let (made, result) = each(&ids, &context.terminal, "retries", async |which: &Which| {
        let id = id(*which, &client).await?;
        let path = ["v1", "conversions", &id, "retry"];
        // From the id: a lost answer, or a second call, never makes a second conversion.
        Ok(client.post_once::<Conversion>(&path, &format!("retry-{id}")).await?)
    })
    .await;
    list::show(&made, context);
    result
}

/// Calls conversions off.
pub(crate) async fn cancel(arguments: &Cancel, context: &Context) -> Result<(), Error> {
    let client = server::signed_in(context).await?;
    let (ended, result) =
        each(&arguments.ids, &context.terminal, "calls", async |which: &Which| {
            let id = id(*which, &client).await?;
            let path = ["v1", "conversions", &id, "cancel"];
            Ok(client.post_once::<Conversion>(&path, &format!("cancel-{id}")).await?)
        })
        .await;
    list::show(&ended, context);
    result
}

/// Deletes videos, with all that hangs on them.
pub(crate) async fn delete(arguments: &Delete, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    let find = async |which: &Which| which.find(&client).await;
    let (mut found, result) = each(&arguments.ids, terminal, "deletions", find).await;
    result?;
    // Two conversions may be of one video.
    found.sort_by_key(|each| each.video.map(|video| video.uuid()));
    found.dedup_by_key(|each| each.video);
    let names = found.iter().map(|each| each.name.as_str()).collect::<Vec<_>>().join(", ");
    let question = format!("Delete {names} at the server, with all conversions and MP3s?");
    terminal.insist(arguments.yes, question).await?;
    let delete = async |conversion: &Conversion| {
        let (id, name) = (conversion.id, &conversion.name);
        let video = conversion.video.ok_or_else(|| Error::failed(format!("{name} has no id")))?;
        let path = ["v1", "videos", &video.to_string()];
        client.change::<()>(Method::DELETE, &path, None).await?;
        let value = json!({"conversion": id, "video": video, "state": "deleted"});
        context.show(value, || format!("{name} is deleted"));
        Ok(())
    };
    each(&found, terminal, "deletions", delete).await.1
}

async fn id(which: Which, client: &crate::client::Client) -> Result<String, Error> {
    let id: ConversionId = match which {
        Which::Id(id) => id,
        Which::Latest => which.find(client).await?.id,
    };
    Ok(id.to_string())
}
