//! However many threads encode, the MP3 has the same bytes, and they are those of the `ffmpeg` command
//! on one thread without the bit reservoir.

use crate::{
    material::{Folder, samples},
    program::local,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Samples in one MP3 frame at 32 kHz and more.
pub(crate) const FRAME: usize = 1152;
/// Frames that one thread encodes at a time.
pub(crate) const SEGMENT: usize = 3003;
/// Those in the first segment of each thread.
pub(crate) const FIRST: usize = 1001;

/// Noise that is loud for three seconds and quiet for three, in 16 bits: LAME remembers how loud it was.
pub(crate) fn noise(folder: &Folder, rate: u32, channels: u16, length: usize) -> PathBuf {
    let (mut state, bytes) = (1_u32, length * usize::from(channels) * 2);
    let mut file = Vec::with_capacity(bytes + 44);
    file.extend(b"RIFF");
    file.extend((36 + bytes as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 2).to_le_bytes());
    file.extend((channels * 2).to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend((bytes as u32).to_le_bytes());
    for at in 0..length {
        let loud = (at / (3 * rate as usize)).is_multiple_of(2);
        for _ in 0..channels {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (state >> 16) as i16;
            file.extend(if loud { value / 2 } else { value / 300 }.to_le_bytes());
        }
    }
    folder.file(&format!("{rate}-{channels}-{length}.wav"), &file)
}

pub(crate) fn converted(folder: &Folder, video: &Path, arguments: &[&str]) -> Vec<u8> {
    let mp3 = folder.path("threads.mp3");
    let ended = local(video, &mp3, arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let bytes = fs::read(&mp3).unwrap();
    fs::remove_file(mp3).unwrap();
    bytes
}

fn must_be_the_same(folder: &Folder, video: &Path, preset: &str, threads: &[&str]) {
    must_be_the_same_with(folder, video, &["--preset", preset], threads);
}

fn must_be_the_same_with(folder: &Folder, video: &Path, options: &[&str], threads: &[&str]) {
    let of = |threads| converted(folder, video, &[options, &["--threads", threads]].concat());
    let one = of("1");
    for threads in threads {
        let same = of(threads) == one;
        assert!(same, "{}, {options:?}, {threads} threads", video.display());
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let folder = Folder::new();
    let (few, all) = (&["3"][..], &["2", "3", "8"][..]);
    for (rate, channels, preset, threads) in [
        (44_100, 2, "v2", all),
        (48_000, 2, "v0", few),
        (44_100, 2, "192", few),
        (48_000, 1, "128", all),
        // Frames of 576 samples.
        (22_050, 1, "v4", few),
        (32_000, 2, "320", few),
    ] {
        let video = noise(&folder, rate, channels, rate as usize * 170);
        must_be_the_same(&folder, &video, preset, threads);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_whatever_the_options() {
    let folder = Folder::new();
    let video = noise(&folder, 44_100, 2, 44_100 * 170);
    for options in [
        &["--bit-rate=64", "--channels=mono", "--sample-rate=22050"][..],
        &["--bit-rate=32", "--channels=mono", "--sample-rate=11025"],
        &["--quality=9", "--channels=stereo"],
        &["--bit-rate=224", "--sample-rate=48000", "--start=0.5", "--end=165.25"],
        &["--preset=speech", "--sample-rate=22050"],
        &["--bit-rate=256"],
    ] {
        must_be_the_same_with(&folder, &video, options, &["2", "3"]);
    }
}

#[test]
fn no_length_falls_between_two_segments() {
    let folder = Folder::new();
    let edges =
        [FIRST, FIRST + 1, FIRST + 6, FIRST + 7, FIRST + 8, 2 * FIRST + 7, 2 * FIRST + SEGMENT + 7];
    let near = edges.map(|frames| [frames * FRAME - 1, frames * FRAME, frames * FRAME + 1]);
    for length in [1, FRAME - 1, FRAME, FRAME + 1].into_iter().chain(near.into_iter().flatten()) {
        let video = noise(&folder, 44_100, 1, length);
        must_be_the_same(&folder, &video, "128", &["2"]);
    }
}

#[test]
fn the_bytes_decode_to_what_one_lame_of_ffmpeg_gives() {
    let folder = Folder::new();
    let video = noise(&folder, 44_100, 2, 44_100 * 170);
    let mp3 = folder.path("ours.mp3");
    for (arguments, reference) in
        [(&["--threads", "2"][..], "-q:a 2 -reservoir 0"), (&["--serial"][..], "-q:a 2")]
    {
        let ended = local(&video, &mp3, arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let theirs = folder.reference(&video, reference);
        assert!(samples(&mp3) == samples(&theirs), "{reference}");
    }
}
