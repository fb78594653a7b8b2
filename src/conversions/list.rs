//! `list`: your conversions as a table.

use crate::{
    client::{Client, Conversion, List},
    command::Context,
    error::Error,
    server,
    table::table,
    unit,
};
use clap::builder::PossibleValuesParser;
use domain::State;
use jiff::{SignedDuration, Timestamp};
use std::num::NonZero;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter list --state failed --since 2d\n  \
    audio-converter list --all --json | jq -r '.items[].id'")]
pub(crate) struct Arguments {
    /// Only conversions in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// Only what was accepted since then: 90s, 10m, 2h, 3d, 1w, or a time as 2026-11-23T06:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZero<usize>,
    /// As many as there are.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// The most that a server gives at once.
const PAGE: usize = 100;

/// Prints the list.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let client = server::signed_in(context).await?;
    let limit = if arguments.all { usize::MAX } else { arguments.limit.get() };
    let list = conversions(&client, arguments.state.as_deref(), arguments.since, limit).await?;
    let terminal = &context.terminal;
    if list.items.is_empty() && !context.json {
        terminal.note("There are none.");
        return Ok(());
    }
    context.show(&list, || rows(&list.items, Timestamp::now()));
    if list.next.is_some() && !context.json {
        terminal.note("There are older ones; --limit N or --all shows more.");
    }
    Ok(())
}

/// The newest conversions, at most `limit`, page by page.
pub(crate) async fn conversions(
    client: &Client,
    state: Option<&str>,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<List<Conversion>, Error> {
    let mut list = List { items: Vec::new(), next: None };
    loop {
        let page = PAGE.min(limit - list.items.len());
        let optional = [
            ("state", state.map(str::to_owned)),
            ("since", since.map(|since| since.to_string())),
            ("cursor", list.next.take()),
            ("limit", Some(page.to_string())),
        ];
        let query: Vec<_> =
            optional.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let more: List<Conversion> = client.get(&["v1", "conversions"], &query).await?;
        list.items.extend(more.items);
        list.next = more.next;
        if list.next.is_none() || list.items.len() >= limit {
            return Ok(list);
        }
    }
}

/// `2h` before now, or a time.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        "w" => Some(604_800),
        _ => None,
    };
    let ago = unit.and_then(|unit| digits.parse::<u32>().ok()?.checked_mul(unit));
    let before =
        |ago: u32| Timestamp::now().checked_sub(SignedDuration::from_secs(ago.into())).ok();
    ago.and_then(before)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "write 10m, 2h, 3d or 2026-11-23T06:00:00Z".to_owned())
}

/// Shows conversions: as a table, or each as a line of JSON.
pub(crate) fn show(conversions: &[Conversion], context: &Context) {
    if context.json {
        conversions.iter().for_each(|each| context.terminal.say(serde_json::json!(each)));
    } else if !conversions.is_empty() {
        context.terminal.say(rows(conversions, Timestamp::now()));
    }
}

fn rows(conversions: &[Conversion], now: Timestamp) -> String {
    let head = ["ID", "NAME", "PRESET", "STATE", "DONE", "AGE", "MESSAGE"];
    table(head, conversions.iter().map(|each| row(each, now)).collect())
}

fn row(conversion: &Conversion, now: Timestamp) -> [String; 7] {
    let done = conversion.progress.map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
    let message = conversion.error.as_ref().map(|error| error.code.clone());
    [
        conversion.id.to_string(),
        conversion.name.clone(),
        conversion.preset.to_string(),
        conversion.state.as_str().to_owned(),
        done,
        unit::since(conversion.created_at, now),
        message.unwrap_or_else(|| conversion.remark(now)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_as_an_age_or_as_itself() {
        let ago = |text| Timestamp::now().as_second() - since(text).unwrap().as_second();
        assert!((7_200..7_210).contains(&ago("2h")) && (604_800..604_810).contains(&ago("1w")));
        assert_eq!(since("2026-11-23T06:00:00Z").unwrap().to_string(), "2026-11-23T06:00:00Z");
        for wrong in ["", "h", "2y", "-1h", "yesterday"] {
            since(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_failed_conversion_shows_why() {
        let conversion = serde_json::from_value(serde_json::json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "video": null, "name": "a.mp4",
            "preset": "v2", "state": "failed", "progress": null, "attempt": 1,
            "created_at": "2026-11-23T06:00:00Z", "waiting": null, "mp3": null,
            "error": {"code": "no_audio_track", "message": "None."},
        }));
        let row = row(&conversion.unwrap(), "2026-11-23T06:01:00Z".parse().unwrap());
        assert_eq!(row[3..], ["failed", "-", "60s", "no_audio_track"]);
    }
}
