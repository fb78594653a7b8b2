//! Loudness: measured as the `ffmpeg` command measures it, and met in the MP3.

use crate::{
    material::{Folder, ffmpeg, samples},
    program::local,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Integrated loudness and true peak by the `ffmpeg` command, of what a filter leaves.
fn measured(sound: &Path, filter: &str) -> (f64, f64) {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-i"]).arg(sound).args(["-vn", "-af"]);
    let output = command.arg(format!("{filter}ebur128=peak=true")).args(["-f", "null", "-"]);
    let told = String::from_utf8(output.output().unwrap().stderr).unwrap();
    let summary = told.rsplit_once("Summary:").unwrap().1;
    let number = |name: &str| {
        let rest = summary.split_once(name).unwrap().1.trim_start();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    (number("I:"), number("Peak:"))
}

/// What a conversion with these options says of loudness, true peak and gain; and the MP3.
fn converted(folder: &Folder, video: &Path, options: &[&str]) -> ([f64; 3], PathBuf) {
    let mp3 = folder.path("out.mp3");
    let ended = local(video, &mp3, options);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.line().rsplit_once(" s, ").unwrap_or_else(|| panic!("{ended:?}")).1;
    let numbers = told.split(' ').filter_map(|word| word.parse().ok());
    (numbers.collect::<Vec<f64>>().try_into().unwrap(), mp3)
}

fn near(have: f64, want: f64, within: f64, what: &str) {
    assert!((have - want).abs() <= within, "{what}: {have}, it should be {want}");
}

/// Speech-like: loud and quiet by turns, with pauses.
fn uneven(folder: &Folder, name: &str, arguments: &str) -> PathBuf {
    let path = folder.path(name);
    let voice = "aevalsrc='0.3*sin(2*PI*200*t)*abs(sin(t))*gt(mod(t,4),0.7)\
        |0.1*sin(2*PI*1330*t)*lt(mod(t,5),4)':s=48000:d=20";
    ffmpeg(&["-f", "lavfi", "-i", voice], arguments, &path);
    path
}

#[test]
fn what_is_measured_is_what_ffmpeg_measures_and_the_mp3_meets_the_target() {
    let folder = Folder::new();
    for (name, arguments) in [
        ("float.mkv", "-c:a aac"),
        ("whole.wav", "-c:a pcm_s16le -ar 44100"),
        ("deep.flac", "-sample_fmt s32 -c:a flac"),
    ] {
        let video = uneven(&folder, name, arguments);
        let (lufs, peak) = measured(&video, "");
        for target in [-16.0, -30.0] {
            let options = [&*format!("--loudness={target}"), "--bit-rate=192"];
            let ([told, told_peak, gain], mp3) = converted(&folder, &video, &options);
            near(told, lufs, 0.1, name);
            near(told_peak, peak, 0.3, name);
            near(gain, target - told, 0.011, name);
            near(measured(&mp3, "").0, target, 0.5, name);
        }
    }
}

#[test]
fn what_is_measured_is_what_is_encoded() {
    let folder = Folder::new();
    let video = uneven(&folder, "film.wav", "-c:a pcm_s16le");
    let options = ["--loudness=-20", "--channels=mono", "--start=3", "--end=9.5"];
    let ([told, ..], mp3) = converted(&folder, &video, &options);
    let filter = "atrim=3:9.5,pan=mono|c0=0.5*c0+0.5*c1,";
    near(told, measured(&video, filter).0, 0.1, "a part in mono");
    near(measured(&mp3, "").0, -20.0, 0.5, "the MP3");
    assert!((samples(&mp3).len() / 2).abs_diff(48_000 * 13 / 2) < 3000);
}

#[test]
fn the_true_peak_wins_over_the_target() {
    let folder = Folder::new();
    let path = folder.path("peaky.wav");
    let clicks =
        "aevalsrc='0.02*sin(2*PI*300*t)+0.7*sin(2*PI*3000*t)*lt(mod(t,5),0.002)':s=48000:d=10";
    ffmpeg(&["-f", "lavfi", "-i", clicks], "-c:a pcm_s16le", &path);
    for (options, limit) in [
        (&["--loudness=-10"][..], -1.0),
        (&["--loudness=-10", "--true-peak=-6"], -6.0),
        (&["--loudness", "-10", "--true-peak", "-12.5"], -12.5),
    ] {
        let ([lufs, peak, gain], mp3) =
            converted(&folder, &path, &[options, &["--bit-rate=320"]].concat());
        near(gain, limit - peak, 0.011, "gain");
        assert!(gain < -10.0 - lufs);
        // Coding adds a little to a click.
        near(measured(&mp3, "").1, limit, 0.5, "peak");
    }
}

#[test]
fn silence_gets_no_gain() {
    let folder = Folder::new();
    let path = folder.path("silence.wav");
    ffmpeg(&["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo:d=2"], "-c:a pcm_s16le", &path);
    let ended = local(&path, &folder.path("out.mp3"), &["--loudness=-16"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.line().contains("0:00:02 of sound") && !ended.line().contains("LUFS"),
        "{ended:?}"
    );
    assert!(samples(&folder.path("out.mp3")).iter().all(|byte| *byte == 0));
}

#[test]
fn speech_is_mono_64_at_minus_16() {
    let folder = Folder::new();
    let video = uneven(&folder, "talk.mkv", "-c:a aac");
    let (_, mp3) = converted(&folder, &video, &["--preset=speech"]);
    near(measured(&mp3, "").0, -16.0, 0.5, "speech");
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "stream=channels,bit_rate", "-of", "csv=p=0"]);
    let told = probe.arg(&mp3).output().unwrap().stdout;
    assert_eq!(String::from_utf8(told).unwrap().trim(), "1,64000");
}
