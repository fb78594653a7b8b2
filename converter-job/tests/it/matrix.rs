//! Containers, codecs, sample rates and channels: each MP3 is sound by the judgement of others, and
//! sounds as what the `ffmpeg` command makes of the same file.

use crate::{
    material::{Folder, MUSIC, ffmpeg},
    program::local,
};
use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const SECONDS: f64 = 2.0;
/// What may be lost against `ffmpeg` with the same settings.
const DECIBELS: f64 = 0.1;

/// What is said of an MP3 of a few frames: nobody can be sure that it is one.
const UNSURE: [&str; 2] = ["detected only with low score", "Too few MPEG frames"];

/// File names and the arguments that make them; without pictures where those say `-vn`.
const SHAPES: &[(&str, &str)] = &[
    ("aac.mp4", "-c:v mpeg4 -c:a aac"),
    ("alac.mp4", "-c:v mpeg4 -c:a alac"),
    ("ac3.mp4", "-c:v mpeg4 -c:a ac3"),
    ("eac3.mp4", "-c:v mpeg4 -c:a eac3"),
    ("mp3.mp4", "-c:v mpeg4 -c:a libmp3lame"),
    ("flac.mp4", "-c:v mpeg4 -c:a flac -strict -2"),
    ("opus.mp4", "-c:v mpeg4 -c:a libopus"),
    ("fragments.mp4", "-c:v mpeg4 -c:a aac -movflags +frag_keyframe+empty_moov"),
    ("aac.mov", "-c:v mpeg4 -c:a aac"),
    ("pcm.mov", "-c:v mpeg4 -c:a pcm_s16le"),
    ("deep.mov", "-c:v mpeg4 -c:a pcm_s24be"),
    ("ima.mov", "-c:v mpeg4 -c:a adpcm_ima_qt"),
    ("law.mov", "-c:v mpeg4 -c:a pcm_alaw"),
    ("aac.mkv", "-c:v mpeg4 -c:a aac"),
    ("mp3.mkv", "-c:v mpeg4 -c:a libmp3lame"),
    ("flac.mkv", "-c:v mpeg4 -c:a flac"),
    ("dts.mkv", "-c:v mpeg4 -c:a dca -strict -2"),
    ("truehd.mkv", "-c:v mpeg4 -c:a truehd -strict -2"),
    ("wavpack.mkv", "-c:v mpeg4 -c:a wavpack"),
    ("tta.mkv", "-c:v mpeg4 -c:a tta"),
    ("float.mkv", "-c:v mpeg4 -c:a pcm_f32le"),
    ("opus.webm", "-c:v libvpx -deadline realtime -c:a libopus"),
    ("vorbis.webm", "-c:v libvpx -deadline realtime -c:a libvorbis"),
    ("mp3.avi", "-c:v mpeg4 -c:a libmp3lame"),
    ("ac3.avi", "-c:v mpeg4 -c:a ac3"),
    ("pcm.avi", "-c:v mpeg4 -c:a pcm_s16le"),
    ("ms.avi", "-c:v mpeg4 -c:a adpcm_ms"),
    ("aac.flv", "-c:v flv -c:a aac"),
    ("mp3.flv", "-c:v flv -c:a libmp3lame -ar 44100"),
    ("swf.flv", "-c:v flv -c:a adpcm_swf -ar 22050"),
    ("nellymoser.flv", "-c:v flv -c:a nellymoser -ar 22050 -ac 1"),
    ("speex.flv", "-c:v flv -c:a libspeex -ar 16000 -ac 1"),
    ("aac.ts", "-c:v mpeg2video -c:a aac"),
    ("mp2.ts", "-c:v mpeg2video -c:a mp2"),
    ("ac3.ts", "-c:v mpeg2video -c:a ac3"),
    ("eac3.ts", "-c:v mpeg2video -c:a eac3"),
    ("ac3.m2ts", "-c:v mpeg2video -c:a ac3 -mpegts_m2ts_mode 1"),
    ("pcm.m2ts", "-c:v mpeg2video -c:a pcm_bluray -mpegts_m2ts_mode 1"),
    ("mp2.mpg", "-c:v mpeg2video -c:a mp2"),
    ("ac3.vob", "-c:v mpeg2video -c:a ac3"),
    ("vorbis.ogv", "-c:v libtheora -c:a libvorbis"),
    ("wma1.wmv", "-c:v msmpeg4 -c:a wmav1"),
    ("wma2.wmv", "-c:v msmpeg4 -c:a wmav2"),
    ("aac.3gp", "-c:v mpeg4 -c:a aac"),
    ("aac.m4a", "-vn -c:a aac"),
    ("alac.m4a", "-vn -c:a alac"),
    ("adts.aac", "-vn -c:a aac"),
    ("bare.ac3", "-vn -c:a ac3"),
    ("bare.eac3", "-vn -c:a eac3"),
    ("pcm.wav", "-vn"),
    ("float.wav", "-vn -c:a pcm_f32le"),
    ("law.wav", "-vn -c:a pcm_mulaw -ar 8000 -ac 1"),
    ("ima.wav", "-vn -c:a adpcm_ima_wav"),
    ("gsm.wav", "-vn -c:a libgsm_ms -ar 8000 -ac 1"),
    ("large.w64", "-vn"),
    ("pcm.aiff", "-vn"),
    ("pcm.au", "-vn -c:a pcm_s16be"),
    ("alac.caf", "-vn -c:a alac"),
    ("plain.flac", "-vn"),
    ("deep.flac", "-vn -sample_fmt s32"),
    ("plain.mp3", "-vn -c:a libmp3lame"),
    ("vorbis.ogg", "-vn -c:a libvorbis"),
    ("opus.ogg", "-vn -c:a libopus"),
    ("speex.ogg", "-vn -c:a libspeex -ar 32000"),
];

/// Sample rates and channels, as WAV.
const RATES: [u32; 14] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 64_000, 88_200,
    96_000, 192_000,
];
const CHANNELS: [u32; 6] = [1, 2, 3, 4, 6, 8];

#[test]
fn every_shape_of_video_becomes_a_sound_mp3() {
    let mut cases: Vec<(String, String)> =
        SHAPES.iter().map(|(name, arguments)| ((*name).into(), (*arguments).into())).collect();
    for rate in RATES {
        cases.push((format!("{rate}.wav"), format!("-vn -ar {rate}")));
        cases.push((format!("{rate}-mono.flac"), format!("-vn -ar {rate} -ac 1")));
    }
    for channels in CHANNELS {
        cases.push((format!("{channels}.wav"), format!("-vn -ac {channels}")));
    }
    let (folder, next) = (Folder::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, arguments)) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    judge(&folder, name, arguments);
                }
            });
        }
    });
}

fn judge(folder: &Folder, name: &str, arguments: &str) {
    let (video, ours) = (folder.path(name), folder.path(&format!("{name}.ours.mp3")));
    let music = format!("{MUSIC}:s=48000:d={SECONDS}");
    let pictures = format!("testsrc=s=176x144:r=25:d={SECONDS}");
    ffmpeg(&["-f", "lavfi", "-i", &music, "-f", "lavfi", "-i", &pictures], arguments, &video);
    let ended = local(&video, &ours, &[]);
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.line());
    let said = must_be_faultless(name, &ours);
    assert!(said.contains("Xing header"), "{name}: {said}");

    let theirs = folder.path(&format!("{name}.theirs.mp3"));
    let from = video.to_str().unwrap();
    ffmpeg(&["-i", from], "-vn -map_metadata -1 -c:a libmp3lame -q:a 2 -reservoir 0", &theirs);
    if decoded(&ours, "") != decoded(&theirs, "") {
        let shape = shape(&ours);
        must_sound_as_good(name, &shape, &decoded(&video, &shape), &ours, &theirs);
    }
}

/// Lies in time with its source, lasts as long, and has no more noise than what `ffmpeg` makes.
pub(crate) fn must_sound_as_good(
    name: &str,
    shape: &str,
    source: &[f32],
    ours: &Path,
    theirs: &Path,
) {
    let (ours, theirs) = (decoded(ours, ""), decoded(theirs, ""));
    let channels = if shape.contains("-ac 1") { 1 } else { 2 };
    let offset = lag(source, &ours, channels);
    assert!(offset.abs() <= 1, "{name}: {offset} samples late");
    let (ratio, peers) = (signal_to_noise(source, &ours), signal_to_noise(source, &theirs));
    assert!(ratio >= peers - DECIBELS, "{name}: {ratio} dB, ffmpeg {peers} dB");
    let rate: f64 = shape.split(' ').nth(1).unwrap().parse().unwrap();
    let seconds = |samples: &[f32]| samples.len() as f64 / channels as f64 / rate;
    let apart = seconds(&ours) - seconds(source);
    assert!(apart.abs() < 0.03, "{name}: {apart} s longer than its video");
}

/// FFmpeg, mpg123 and mp3val read it without a word of complaint; what the last of them says of it.
pub(crate) fn must_be_faultless(name: &str, mp3: &Path) -> String {
    let quiet = |program: &str, before: &[&str], after: &[&str]| {
        let output = Command::new(program).args(before).arg(mp3).args(after).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let lines = said.lines().filter(|line| !UNSURE.iter().any(|doubt| line.contains(doubt)));
        (output.status.success(), lines.collect::<Vec<_>>().join("\n"))
    };
    // Of five frames FFmpeg may think that they are something else.
    let ffmpeg =
        quiet("ffmpeg", &["-v", "warning", "-nostdin", "-f", "mp3", "-i"], &["-f", "null", "-"]);
    assert_eq!(ffmpeg, (true, String::new()), "{name}");
    assert_eq!(quiet("mpg123", &["-q", "-t"], &[]), (true, String::new()), "{name}");
    let (_, said) = quiet("mp3val", &[], &[]);
    assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{name}: {said}");
    assert!(said.contains("MPEG frames"), "{name}: {said}");
    said
}

/// Rate and channels of an MP3, as arguments for `ffmpeg`.
pub(crate) fn shape(mp3: &Path) -> String {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-f", "mp3", "-of", "csv=p=0"]);
    probe.args(["-show_entries", "stream=sample_rate,channels"]);
    let output = probe.arg(mp3).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (rate, channels) = text.lines().next().unwrap().split_once(',').unwrap();
    format!("-ar {rate} -ac {channels}")
}

/// The first track's samples, interleaved.
pub(crate) fn decoded(path: &Path, shape: &str) -> Vec<f32> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(path).args(["-map", "0:a:0"]);
    command.args(shape.split_whitespace()).args(["-f", "f32le", "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// By how many samples `ours` is late against `source`, where they fit best.
fn lag(source: &[f32], ours: &[f32], channels: usize) -> isize {
    const FURTHEST: isize = 64;
    let middle = |samples: &'_ [f32]| samples.len() / 2 / channels * channels;
    let length = (source.len().min(ours.len()) / 4).min(20_000) / channels * channels;
    let begin = middle(source) - length / 2 / channels * channels;
    let product = |late: isize| -> f64 {
        let from = begin.checked_add_signed(late * channels as isize).unwrap();
        let pairs = source[begin..begin + length].iter().zip(&ours[from..from + length]);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    (-FURTHEST..=FURTHEST).max_by(|a, b| product(*a).total_cmp(&product(*b))).unwrap()
}

pub(crate) fn signal_to_noise(source: &[f32], copy: &[f32]) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (source, copy) in source.iter().zip(copy) {
        signal += f64::from(*source).powi(2);
        noise += f64::from(source - copy).powi(2);
    }
    10.0 * (signal / noise).log10()
}
