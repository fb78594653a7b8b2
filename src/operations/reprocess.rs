//! `reprocess`: stored videos that match are converted once more, as a batch.

use super::batch::{self, BATCHES, Batch};
use crate::{command::Context, conversions::list::since, error::Error, server, unit};
use clap::builder::PossibleValuesParser;
use domain::{BatchId, Options, Preset, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What to convert once more, and how.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("preset", |preset| preset.required(true).default_value(None::<&str>)),
    after_long_help = "Uploads go before all that waits of a batch. Repeating the call with the \
    same --id converts nothing twice.\n\n\
    Examples:\n  \
    audio-converter reprocess --preset v0 --owner ada --dry-run\n  \
    audio-converter reprocess --preset v0 --was-preset v4 --id louder --wait\n  \
    audio-converter reprocess --preset v2 --state failed --since 7d"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Only this user's videos.
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Only what was accepted since then: 90s, 10m, 2h, 3d, 1w, or a time as 2026-11-23T06:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only what was accepted before then.
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
    /// Only conversions in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// Only what was converted with this preset.
    #[arg(long, value_parser = PossibleValuesParser::new(Preset::ALL.map(Preset::name)))]
    was_preset: Option<String>,
    /// The MP3s that matched expire once the new one is there.
    #[arg(long)]
    replace: bool,
    /// The batch's name: 1 to 40 characters from a-z, 0-9 and - [default: a new one].
    #[arg(long)]
    id: Option<BatchId>,
    /// Only tell what it would come to.
    #[arg(short = 'n', long, conflicts_with = "wait")]
    dry_run: bool,
    /// Wait for its end; exit code 0 only when nothing failed.
    #[arg(short, long)]
    wait: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Estimate {
    found: u64,
    videos: u64,
    work_seconds: Option<f64>,
}

/// Does it.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    arguments.options.validate().map_err(|wrong| Error::Usage(wrong.to_string()))?;
    let client = server::signed_in(context).await?;
    // A name from here: asking again after a lost answer is asking for the same batch.
    let id = arguments.id.clone().unwrap_or_else(BatchId::generate);
    let wish = wish(arguments, &id);
    if arguments.dry_run {
        let path = [BATCHES[0], BATCHES[1], "estimate"];
        let estimate: Estimate = client.repeat(&path, Some(&wish)).await?;
        context.show(&estimate, || text(&estimate));
        return Ok(());
    }
    let made: Batch = client.repeat(&BATCHES, Some(&wish)).await?;
    if arguments.wait {
        return batch::wait(&client, &made.id, context).await;
    }
    batch::show(&[made], context);
    Ok(())
}

/// What is absent is not said.
fn wish(arguments: &Arguments, id: &BatchId) -> Value {
    let mut wish = json!(arguments.options);
    let matching = json!({
        "id": id,
        "owner": arguments.owner,
        "since": arguments.since,
        "until": arguments.until,
        "state": arguments.state,
        "was_preset": arguments.was_preset,
        "replace": arguments.replace,
    });
    if let (Some(wish), Value::Object(matching)) = (wish.as_object_mut(), matching) {
        wish.extend(matching.into_iter().filter(|(_, value)| !value.is_null()));
    }
    wish
}

fn text(estimate: &Estimate) -> String {
    let Estimate { found, videos, work_seconds } = estimate;
    let work = work_seconds.map_or_else(
        || "nobody knows how long that takes".to_owned(),
        |seconds| {
            let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            format!("{} of work, if they take what they took", unit::time(time))
        },
    );
    format!("{found} conversions of {videos} videos match: {work}. Nothing was done.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_a_sentence() {
        let estimate = |work_seconds| Estimate { found: 12, videos: 10, work_seconds };
        assert_eq!(
            text(&estimate(Some(90.0))),
            "12 conversions of 10 videos match: 1:30 of work, if they take what they took. Nothing \
             was done."
        );
        assert!(text(&estimate(None)).contains("nobody knows"));
    }
}
