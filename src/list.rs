//! `list`: your conversions as a table.

use crate::{client::Conversion, command::Context, error::Error, server::Server, unit};
use clap::builder::PossibleValuesParser;
use domain::State;
use jiff::Timestamp;

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// Only conversions in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let client = arguments.server.signed_in(context).await?;
    let state =
        State::ALL.into_iter().find(|state| Some(state.as_str()) == arguments.state.as_deref());
    let list = client.conversions(state, arguments.limit).await?;
    if arguments.json {
        context.terminal.say(serde_json::json!(list));
        return Ok(());
    }
    if list.items.is_empty() {
        context.terminal.note("There are none.");
        return Ok(());
    }
    context.terminal.say(table(&list.items, Timestamp::now()));
    if list.next.is_some() {
        context.terminal.note("There are older ones; --limit shows more.");
    }
    Ok(())
}

/// The conversions as kubectl would show them.
pub(crate) fn table(conversions: &[Conversion], now: Timestamp) -> String {
    let head = ["ID", "NAME", "PRESET", "STATE", "DONE", "AGE", "MESSAGE"].map(str::to_owned);
    let rows: Vec<_> =
        std::iter::once(head).chain(conversions.iter().map(|c| row(c, now))).collect();
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   "));
        cells.collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
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
        unit::age(now.as_second() - conversion.created_at.as_second()),
        message.or_else(|| conversion.waiting.clone()).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_by_characters() {
        let conversion = |name: &str, state: &str| -> Conversion {
            serde_json::from_value(serde_json::json!({
                "id": "01890a5d-ac96-774b-bcce-b302099a8057", "video": "01890a5d-ac96-774b-bcce-b302099a8058",
                "name": name, "preset": "v2", "state": state, "progress": null, "attempt": 1,
                "created_at": "2026-11-23T06:00:00Z", "finished_at": null, "waiting": null, "mp3": null,
                "error": {"code": "no_audio_track", "message": "None."},
            }))
            .unwrap()
        };
        let now = "2026-11-23T06:01:00Z".parse().unwrap();
        let table = table(&[conversion("фильм.mp4", "failed"), conversion("a.mkv", "failed")], now);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1],
            "01890a5d-ac96-774b-bcce-b302099a8057   фильм.mp4   v2       failed   -      60s   no_audio_track"
        );
        assert_eq!(lines[2].chars().count(), lines[1].chars().count());
    }
}
