//! The report and the waveform beside an MP3 say what the `ffmpeg` command finds in the same file.

use crate::{
    material::{Folder, MUSIC, ffmpeg},
    program::local,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// A conversion's report and waveform.
fn told(folder: &Folder, video: &Path, options: &[&str]) -> (Value, Value) {
    let (mp3, report, waveform) =
        (folder.path("out.mp3"), folder.path("report.json"), folder.path("waveform.json"));
    let beside = ["--report", report.to_str().unwrap(), "--waveform", waveform.to_str().unwrap()];
    let ended = local(video, &mp3, &[options, &beside].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (report, waveform): (Value, Value) = (read(report), read(waveform));
    assert_eq!(report["mp3"]["length"], fs::metadata(mp3).unwrap().len());
    (report, waveform)
}

/// The samples that `ffmpeg` decodes, in floats, one frame of channels after the other.
fn decoded(video: &Path, arguments: &str) -> Vec<f32> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(video).arg("-vn");
    let output = command.args(arguments.split_whitespace()).args(["-f", "f32le", "-"]).output();
    let bytes = output.unwrap().stdout;
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Their mix, as a waveform of this step shows it.
fn drawn(samples: &[f32], channels: usize, step: usize) -> Vec<i64> {
    let mixed = samples.chunks(channels).map(|all| all.iter().sum::<f32>() / channels as f32);
    let mixed: Vec<_> = mixed.collect();
    let pixel = |part: &[f32]| {
        let all = |pick: fn(f32, f32) -> f32| part.iter().copied().reduce(pick).unwrap();
        [all(f32::min), all(f32::max)].map(|level| (level * 128.0).clamp(-128.0, 127.0) as i64)
    };
    mixed.chunks(step).flat_map(pixel).collect()
}

fn data(waveform: &Value) -> Vec<i64> {
    waveform["data"].as_array().unwrap().iter().map(|level| level.as_i64().unwrap()).collect()
}

fn same(have: &[i64], want: &[i64], within: i64, what: &str) {
    assert_eq!(have.len(), want.len(), "{what}");
    let worst = have.iter().zip(want).map(|(have, want)| (have - want).abs()).max();
    assert!(worst <= Some(within), "{what}: {worst:?} apart");
}

/// Loud for two seconds and quiet for two.
fn halves(folder: &Folder, name: &str, channels: &str, arguments: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let sound = format!("{MUSIC}:s=48000:d=4");
    let filter = format!("volume='if(lt(t,2),1,0.05)':eval=frame,{channels}");
    ffmpeg(&["-f", "lavfi", "-i", &sound, "-af", &filter], arguments, &path);
    path
}

#[test]
fn a_waveform_is_what_ffmpeg_decodes() {
    let folder = Folder::new();
    for (name, channels, arguments, mixed, count, within) in [
        ("whole.wav", "anull", "-c:a pcm_s16le", "", 2, 0),
        ("deep.flac", "anull", "-sample_fmt s32 -c:a flac", "", 2, 0),
        ("mono.m4a", "pan=mono|c0=c0", "-c:a aac", "", 1, 1),
        ("float.mkv", "anull", "-c:a vorbis -strict -2", "", 2, 1),
        (
            "surround.wav",
            "pan=5.1|c0=c0|c1=c1|c2=0.5*c0|c3=c1|c4=c1|c5=0.1*c0",
            "-c:a pcm_s16le",
            "-ac 2 -rematrix_maxval 0.999",
            2,
            1,
        ),
    ] {
        let video = halves(&folder, name, channels, arguments);
        let (report, waveform) = told(&folder, &video, &[]);
        let samples = decoded(&video, mixed);
        same(&data(&waveform), &drawn(&samples, count, 256), within, name);
        let head = json!({"version": 2, "channels": 1, "sample_rate": 48000, "samples_per_pixel": 256, "bits": 8});
        for (key, value) in head.as_object().unwrap() {
            assert_eq!(&waveform[key], value, "{name}");
        }
        let length = samples.len().div_ceil(count * 256);
        assert_eq!(waveform["length"], length, "{name}");
        let highest =
            |range: std::ops::Range<usize>| data(&waveform)[range].iter().copied().max().unwrap();
        // Its second half begins with what coding smears over the edge.
        let (loud, quiet) = (highest(0..length), highest(length + 100..2 * length));
        assert!(loud > 8 * quiet && quiet > 0, "{name}: {loud} and {quiet}");
        let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        let told = report["peak_dbfs"].as_f64().unwrap();
        assert!((told - f64::from(20.0 * peak.log10())).abs() < 0.02, "{name}: {told}, {peak}");
        assert_eq!(report["mp3"]["channels"], count, "{name}");
    }
}

#[test]
fn a_long_sound_has_no_more_pixels_and_any_number_of_threads_draws_them_alike() {
    let folder = Folder::new();
    let path = folder.path("long.flac");
    let sound = format!("{MUSIC}:s=44100:d=170");
    ffmpeg(&["-f", "lavfi", "-i", &sound], "-c:a flac -sample_fmt s16", &path);
    let options =
        |threads| ["--channels=mono", "--start=0.5", "--end=165.25", "--threads", threads];
    let (mut report, waveform) = told(&folder, &path, &options("1"));
    assert_eq!(waveform["samples_per_pixel"], 1024);
    let whole = decoded(&path, "-af atrim=0.5:165.25,asetpts=N/SR/TB,pan=mono|c0=0.5*c0+0.5*c1");
    same(&data(&waveform), &drawn(&whole, 1, 1024), 1, "a part in mono");
    assert_eq!(report["duration_ms"], 164_750);
    for threads in ["2", "3"] {
        let (mut other, same) = told(&folder, &path, &options(threads));
        assert_eq!(same, waveform, "{threads} threads");
        for key in ["took_ms", "finished_at"] {
            assert!(!other[key].is_null());
            (other[key], report[key]) = (Value::Null, Value::Null);
        }
        assert_eq!(other, report, "{threads} threads");
    }
}

#[test]
fn a_report_names_the_tracks_and_the_one_that_was_taken() {
    let folder = Folder::new();
    let path = folder.path("two.mkv");
    let music = format!("{MUSIC}:s=48000:d=2");
    ffmpeg(
        &["-f", "lavfi", "-i", &music, "-f", "lavfi", "-i", "sine=r=44100:d=2"],
        "-map 0 -map 1 -c:a:0 aac -c:a:1 flac -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger",
        &path,
    );
    let (report, _) = told(&folder, &path, &["--track=deu", "--preset=v0", "--end=1.5"]);
    let expected = json!({
        "container": "matroska,webm", "codec": "flac", "track": 2,
        "tracks": [
            {"number": 1, "codec": "aac", "language": "eng", "channels": 2, "sample_rate": 48000, "default": true},
            {"number": 2, "codec": "flac", "language": "ger", "channels": 1, "sample_rate": 44100, "default": false},
        ],
        "duration_ms": 1500, "loudness": null, "warnings": [],
        "options": {"preset": "v0", "allow_truncated": false, "track": "deu", "end": 1.5},
        "converter": concat!("converter-job ", env!("CARGO_PKG_VERSION")),
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&report[key], value, "{key}");
    }
    assert_eq!(
        (&report["mp3"]["sample_rate"], &report["mp3"]["channels"]),
        (&44_100.into(), &1.into())
    );
    assert!(report["took_ms"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report.as_object().unwrap().len(), 13, "{report}");
}

#[test]
fn a_gain_and_a_warning_are_in_the_report() {
    let folder = Folder::new();
    let path = halves(&folder, "film.wav", "anull", "-c:a pcm_s16le");
    let bytes = fs::read(&path).unwrap();
    let cut = folder.file("cut.wav", &bytes[..bytes.len() - 1000]);
    let (plain, low) = told(&folder, &cut, &["--allow-truncated"]);
    let (report, high) = told(&folder, &cut, &["--allow-truncated", "--loudness=-14"]);
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("the file is cut off: "), "{warning}");
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "said by the last walk only");
    let gain = report["loudness"]["gain_db"].as_f64().unwrap();
    let peak = |report: &Value| report["peak_dbfs"].as_f64().unwrap();
    assert!(gain.abs() > 1.0 && (peak(&report) - peak(&plain) - gain).abs() < 0.02, "{report}");
    let factor = 10_f64.powf(gain / 20.0);
    let scaled: Vec<_> = data(&low).iter().map(|level| (*level as f64 * factor) as i64).collect();
    same(&data(&high), &scaled, 2, "after the gain");
}

#[test]
fn silence_has_a_flat_waveform_and_no_peak() {
    let folder = Folder::new();
    let path = folder.path("silence.wav");
    ffmpeg(&["-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=2"], "-c:a pcm_s16le", &path);
    let (report, waveform) = told(&folder, &path, &[]);
    assert_eq!((&report["peak_dbfs"], data(&waveform)), (&Value::Null, vec![0; 2 * 63]));
}

#[test]
fn all_are_there_or_none_is() {
    let folder = Folder::new();
    let video = folder.video("film.mp4", 1, "-c:v mpeg4 -c:a aac");
    let (mp3, text) = (folder.path("film.mp3"), folder.file("text.mp4", b"no video"));
    let beside = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (report, waveform) = (beside("r.json"), beside("w.json"));
    let both = ["--report", &report, "--waveform", &waveform];
    assert_eq!(local(&text, &mp3, &both).code, Some(65));
    // One file for two, a folder, a place that is not there, and the video itself.
    for wrong in
        [mp3.to_str().unwrap(), &waveform, &beside(""), &beside("no/r.json"), &beside("film.mp4")]
    {
        let ended = local(&video, &mp3, &["--report", wrong, "--waveform", &waveform]);
        assert_eq!(ended.code, Some(64), "{wrong}: {ended:?}");
    }
    assert_eq!(folder.names(), ["film.mp4", "text.mp4"]);
    fs::write(&report, "the one before").unwrap();
    assert_eq!(local(&video, &mp3, &both).code, Some(0));
    assert!(fs::read_to_string(&report).unwrap().starts_with("{\"container\":\"mov,mp4"));
    assert_eq!(folder.names(), ["film.mp3", "film.mp4", "r.json", "text.mp4", "w.json"]);
}
