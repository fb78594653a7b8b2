//! `report`: how MP3s were made, and of what.

use super::which::{Which, each};
use crate::{command::Context, error::Error, remote, server, unit};
use domain::{Loudness, Report, SoundTrack};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Whose reports.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  \
    audio-converter report @latest\n  \
    audio-converter report ID --json | jq .tracks")]
pub(crate) struct Arguments {
    /// The conversions' ids; @latest is the newest.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Which>,
}

/// Prints the reports.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let (client, terminal) = (server::signed_in(context).await?, &context.terminal);
    let one = async |which: &Which| {
        let conversion = which.find(&client).await?;
        remote::result(&conversion)?;
        let path = ["v1", "conversions", &conversion.id.to_string(), "report"];
        let told: Value = client.get(&path, &[]).await?;
        // What a newer server tells besides is passed on to programs.
        let report = Report::deserialize(&told).map_err(|cause| {
            Error::failed(format!("the report of {} is none: {cause}", conversion.name))
        })?;
        context.show(told, || text(&conversion.name, &report));
        Ok(())
    };
    each(&arguments.ids, terminal, "reports", one).await.1
}

fn text(name: &str, report: &Report) -> String {
    let origin = &report.origin;
    let (took, count) = (Duration::from_millis(report.took_ms), origin.tracks.len());
    let seconds = report.duration_ms.saturating_add(500) / 1000;
    let asked = report.options.said().map(|(name, value)| format!("{name} {value}"));
    let mp3 = &report.mp3;
    let mut lines = vec![
        format!("{name}, {} of sound", unit::clock(seconds)),
        line(
            "from",
            format!("{}: track {} of {count}, {}", origin.container, origin.track, origin.codec),
        ),
    ];
    lines.extend(origin.tracks.iter().map(|track| line("track", described(track))));
    lines.push(line("asked for", asked.collect::<Vec<_>>().join(", ")));
    if let Some(Loudness { integrated_lufs, true_peak_dbtp, gain_db }) = &report.loudness {
        let measured = format!("{integrated_lufs} LUFS and {true_peak_dbtp} dBTP");
        lines.push(line("loudness", format!("{measured} before a gain of {gain_db} dB")));
    }
    lines.extend(report.peak_dbfs.iter().map(|peak| line("peak", format!("{peak} dBFS"))));
    let shape = shape(Some(mp3.channels.into()), Some(mp3.sample_rate));
    lines.push(line("MP3", [shape, vec![unit::bytes(mp3.length)]].concat().join(", ")));
    lines.push(line("took", format!("{}, by {}", unit::time(took), report.converter)));
    lines.push(line("ended", report.finished_at.to_string()));
    lines.extend(report.warnings.iter().map(|warning| line("warning", warning.clone())));
    lines.join("\n")
}

fn line(key: &str, value: String) -> String {
    format!("  {key:<10} {value}")
}

fn described(track: &SoundTrack) -> String {
    let mut words = vec![format!("{} {}", track.number, track.codec)];
    words.extend(track.language.map(String::from));
    words.extend(shape(track.channels, track.sample_rate));
    words.extend(track.default.then(|| "default".to_owned()));
    words.join(", ")
}

fn shape(channels: Option<u32>, rate: Option<u32>) -> Vec<String> {
    let channels = channels.map(|count| match count {
        1 => "1 channel".to_owned(),
        count => format!("{count} channels"),
    });
    channels.into_iter().chain(rate.map(|rate| format!("{rate} Hz"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_in_lines() {
        let report = serde_json::from_value(serde_json::json!({
            "container": "matroska,webm", "codec": "opus", "track": 2,
            "tracks": [
                {"number": 1, "codec": "aac", "language": "eng", "channels": 6, "sample_rate": 48000, "default": true},
                {"number": 2, "codec": "opus", "language": null, "channels": null, "sample_rate": null, "default": false},
            ],
            "duration_ms": 61500,
            "loudness": {"integrated_lufs": -23.4, "true_peak_dbtp": -5, "gain_db": 4},
            "peak_dbfs": -1.25, "warnings": ["the file is cut off"],
            "options": {"preset": "v2", "allow_truncated": true, "track": "2"},
            "mp3": {"sample_rate": 48000, "channels": 1, "length": 1_476_000},
            "took_ms": 1200, "finished_at": "2026-11-23T06:00:00Z", "converter": "converter-job 0.1.0",
        }));
        let expected = "\
film.mkv, 1:02 of sound
  from       matroska,webm: track 2 of 2, opus
  track      1 aac, eng, 6 channels, 48000 Hz, default
  track      2 opus
  asked for  preset v2, allow_truncated true, track 2
  loudness   -23.4 LUFS and -5 dBTP before a gain of 4 dB
  peak       -1.25 dBFS
  MP3        1 channel, 48000 Hz, 1.5 MB
  took       1.2 s, by converter-job 0.1.0
  ended      2026-11-23T06:00:00Z
  warning    the file is cut off";
        assert_eq!(text("film.mkv", &report.unwrap()), expected);
    }
}
