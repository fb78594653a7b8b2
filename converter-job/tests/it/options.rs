//! Options: the MP3 has the samples that the `ffmpeg` command makes with the same settings.

use crate::{
    material::{Folder, ffmpeg, samples, wav},
    matrix::must_be_faultless,
    program::{Ended, local},
};
use std::{path::Path, process::Command};

/// Converts with these options; the decoded samples.
fn converted(folder: &Folder, video: &Path, options: &[&str]) -> Vec<u8> {
    let mp3 = folder.path("ours.mp3");
    let ended = local(video, &mp3, options);
    assert_eq!(ended.code, Some(0), "{options:?}: {ended:?}");
    samples(&mp3)
}

/// Bytes of the 47 samples, in two channels of 16 bits, that LAME may fill up with beyond 1105.
const MORE: usize = 4 * 47;

/// Sample rate, channels and codec bit rate as `ffprobe` tells them.
fn form(mp3: &Path) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "stream=sample_rate,channels,bit_rate"]);
    let output = command.args(["-of", "csv=p=0"]).arg(mp3).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn must_sound_like(folder: &Folder, video: &Path, options: &[&str], reference: &str) {
    let ours = converted(folder, video, options);
    let theirs = samples(&folder.reference(video, reference));
    assert!(!ours.is_empty());
    // FFmpeg's header cannot tell all of the silence behind the last sample.
    let same = theirs.starts_with(&ours) && theirs.len() - ours.len() <= MORE;
    assert!(same, "{options:?}: {} and {} bytes", ours.len(), theirs.len());
}

#[test]
fn bit_rates_qualities_channels_and_sample_rates_are_those_of_ffmpeg() {
    let folder = Folder::new();
    let film = folder.video("film.mp4", 5, "-c:v mpeg4 -c:a aac");
    let plain = folder.video("plain.wav", 5, "-vn");
    for (options, reference, told) in [
        (&["--bit-rate=64"][..], "-b:a 64k -reservoir 0", "48000,2,64000"),
        (&["--bit-rate=256"], "-b:a 256k", "48000,2,256000"),
        (&["--quality=7"], "-q:a 7 -reservoir 0", "48000,2,"),
        (&["--preset=128", "--quality=0"], "-q:a 0 -reservoir 0", "48000,2,"),
        (&["--channels=stereo"], "-q:a 2 -joint_stereo 0 -reservoir 0", "48000,2,"),
        (&["--channels=joint"], "-q:a 2 -reservoir 0", "48000,2,"),
        (&["--sample-rate=22050"], "-q:a 2 -ar 22050 -reservoir 0", "22050,2,"),
        (
            &["--sample-rate=8000", "--bit-rate=32"],
            "-b:a 32k -ar 8000 -reservoir 0",
            "8000,2,32000",
        ),
    ] {
        for video in [&film, &plain] {
            must_sound_like(&folder, video, options, reference);
            let form = form(&folder.path("ours.mp3"));
            assert!(form.starts_with(told), "{options:?}: {form}");
        }
    }
    must_sound_like(
        &folder,
        &plain,
        &["--channels=mono"],
        "-q:a 2 -ac 1 -rematrix_maxval 0.999 -reservoir 0",
    );
    assert!(form(&folder.path("ours.mp3")).starts_with("48000,1,"));
}

#[test]
fn two_channels_are_encoded_together_or_each_for_itself() {
    let folder = Folder::new();
    let alike = folder.path("alike.wav");
    ffmpeg(&["-f", "lavfi", "-i", "anoisesrc=r=48000:d=3:a=0.3"], "-ac 2", &alike);
    let apart = ["--bit-rate=64", "--channels=stereo"];
    must_sound_like(&folder, &alike, &apart, "-b:a 64k -joint_stereo 0 -reservoir 0");
    let together = converted(&folder, &alike, &["--bit-rate=64", "--channels=joint"]);
    assert!(together == converted(&folder, &alike, &["--bit-rate=64"]), "the default is another");
    assert!(together != converted(&folder, &alike, &apart), "there is no difference");
}

#[test]
fn surround_at_full_scale_becomes_stereo_and_mono_that_do_not_clip() {
    let folder = Folder::new();
    for (name, layout, channels) in
        [("five.mkv", "5.1", 6), ("five-back.mkv", "5.1(side)", 6), ("seven.mkv", "7.1", 8)]
    {
        let tones = vec!["sin(2*PI*1000*t)"; channels].join("|");
        let source = format!("aevalsrc='{tones}':c={layout}:s=48000:d=2");
        for codec in ["pcm_f32le", "pcm_s16le"] {
            let video = folder.path(name);
            ffmpeg(&["-f", "lavfi", "-i", &source], &format!("-c:a {codec}"), &video);
            for mode in ["joint", "mono"] {
                let mode = format!("--channels={mode}");
                let samples = converted(&folder, &video, &["--quality=0", &mode]);
                let values = samples.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
                let values: Vec<_> = values.skip(20_000).take(40_000).collect();
                let power = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
                // Of a sine at full scale, which clipping would make louder.
                let level = (power / values.len() as f64).sqrt() / 32_768.0;
                assert!((level - 0.5_f64.sqrt()).abs() < 0.01, "{name} {codec} {mode}: {level}");
            }
        }
    }
}

#[test]
fn one_channel_becomes_two_where_that_is_asked_for() {
    let folder = Folder::new();
    let mono = folder.video("mono.wav", 2, "-vn -ac 1");
    must_sound_like(&folder, &mono, &["--channels=joint"], "-q:a 2 -ac 2 -reservoir 0");
    assert!(form(&folder.path("ours.mp3")).starts_with("48000,2,"));
}

#[test]
fn start_and_end_are_exact_to_the_sample() {
    let folder = Folder::new();
    let cases = [
        ("film.mkv", "-c:v mpeg4 -c:a aac", 48_000),
        ("film.mp4", "-c:v mpeg4 -c:a aac -ar 44100", 44_100),
        ("eight-bits.wav", "-vn -c:a pcm_u8 -ac 1", 48_000),
        ("plain.flac", "-vn -ar 44100", 44_100),
    ];
    for (name, arguments, rate) in cases {
        let video = folder.video(name, 5, arguments);
        for (start, end) in [(0, 1), (1, 2500), (1234, 3777), (4000, 60_000)] {
            let at = |ms: u64| ms * rate / 1000;
            let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
            let options =
                [format!("--start={}", seconds(start)), format!("--end={}", seconds(end))];
            let cut = format!("atrim=start_sample={}:end_sample={}", at(start), at(end));
            let reference = format!("-af {cut} -q:a 2 -reservoir 0");
            must_sound_like(&folder, &video, &[&*options[0], &*options[1]], &reference);
        }
    }
}

#[test]
fn a_start_behind_the_end_of_the_sound_says_so() {
    let folder = Folder::new();
    let video = folder.video("film.mp4", 2, "-c:v mpeg4 -c:a aac");
    let ended = local(&video, &folder.path("out.mp3"), &["--start", "3"]);
    is_failure(&ended, "start_after_end: The sound ends before the start");
    assert_eq!(folder.names(), ["film.mp4"]);
}

fn is_failure(ended: &Ended, words: &str) {
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.line().starts_with(&format!("converter-job: failed: {words}")), "{ended:?}");
}

/// A film with a tone of 440 Hz in English and one of 880 in German, which is the default.
fn film_in_two_languages(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let tone = |hertz: u32| format!("sine=f={hertz}:r=48000:d=2");
    let (english, german) = (tone(440), tone(880));
    let inputs = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=2", "-f", "lavfi", "-i", &english];
    let inputs = [&inputs[..], &["-f", "lavfi", "-i", &german]].concat();
    let tracks = "-map 0:v -map 1:a -map 2:a -c:v mpeg4 -c:a aac -metadata:s:a:0 language=eng \
        -metadata:s:a:1 language=ger -disposition:a:0 0 -disposition:a:1 default";
    ffmpeg(&inputs, tracks, &path);
    path
}

/// How often the sound of one channel goes through zero upwards in a second.
fn pitch(samples: &[u8]) -> usize {
    let values = samples.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
    let values: Vec<_> = values.skip(24_000).take(48_000).collect();
    values.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count()
}

#[test]
fn a_track_is_chosen_by_its_number_or_its_language() {
    let folder = Folder::new();
    for name in ["film.mkv", "film.mp4"] {
        let film = film_in_two_languages(&folder, name);
        for (options, hertz) in [
            (&[][..], 880_usize),
            (&["--track=1"], 440),
            (&["--track=2"], 880),
            (&["--track=eng"], 440),
            (&["--track=ger"], 880),
            (&["--track", "DEU"], 880),
        ] {
            let pitch = pitch(&converted(&folder, &film, options));
            assert!(pitch.abs_diff(hertz) < 3, "{name} {options:?}: {pitch} Hz");
        }
        for track in ["--track=3", "--track=fra"] {
            let ended = local(&film, &folder.path("none.mp3"), &[track]);
            is_failure(&ended, "no_such_track: The video has no such track");
            assert!(ended.line().contains("it has 1 eng, 2 "), "{ended:?}");
        }
    }
}

#[test]
fn contradictions_are_wrong_use() {
    let folder = Folder::new();
    let video = folder.video("film.wav", 1, "-vn");
    for (options, words) in [
        (&["--bit-rate=64", "--quality=2"][..], "give one of the two"),
        (&["--start=2", "--end=1"], "end has to come after start"),
        (&["--preset=320", "--sample-rate=22050"], "at most 160 kbit/s"),
    ] {
        let ended = local(&video, &folder.path("out.mp3"), options);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.line().contains(words), "{ended:?}");
    }
    for wrong in ["--bit-rate=100", "--channels=5.1", "--track=0", "--start=-1"] {
        let ended = local(&video, &folder.path("out.mp3"), &[wrong]);
        assert_eq!(ended.code, Some(2), "{wrong}: {ended:?}");
    }
    assert_eq!(folder.names(), ["film.wav"]);
}

#[test]
fn samples_that_are_no_numbers_are_silence_and_none_is_beyond_measure() {
    let folder = Folder::new();
    let mut file = wav(48_000, 2, 4 * 48_000);
    // One channel of floats.
    (file[20], file[22], file[34]) = (3, 1, 32);
    for (number, sample) in file[44..].chunks_exact_mut(4).enumerate() {
        let value = match number % 5000 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => -1e30,
            _ => (number as f32 / 20.0).sin() / 4.0,
        };
        sample.copy_from_slice(&value.to_le_bytes());
    }
    let video = folder.file("strange.wav", &file);
    for option in ["--preset=v2", "--preset=128", "--loudness=-20"] {
        let sound = converted(&folder, &video, &[option]);
        assert_eq!(sound.len(), 2 * 48_000, "{option}");
        must_be_faultless(option, &folder.path("ours.mp3"));
    }
}
