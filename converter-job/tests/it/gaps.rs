//! Timestamps with holes: small ones become silence, large ones cost nothing.

use crate::{
    material::{Folder, ffmpeg, samples},
    program::local,
};
use std::{fs, path::Path, time::Instant};

/// Seconds of sound in the MP3.
fn converted(folder: &Folder, video: &Path) -> f64 {
    let (mp3, began) = (folder.path("out.mp3"), Instant::now());
    let ended = local(video, &mp3, &[]);
    assert_eq!(ended.code, Some(0), "{}: {ended:?}", video.display());
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    samples(&mp3).len() as f64 / 2.0 / 48_000.0
}

fn assert_lasts(folder: &Folder, video: &Path, expected: f64) {
    let seconds = converted(folder, video);
    assert!((seconds - expected).abs() < 0.1, "{}: {seconds} s", video.display());
}

/// Eight seconds of sound with a gap after the third.
fn with_gap(folder: &Folder, seconds: f64, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let gap = format!("asetnsamples=1024,asetpts='PTS+gte(T,3)*{seconds}/TB'");
    let tone = "sine=f=440:r=48000:d=8";
    ffmpeg(&["-f", "lavfi", "-i", tone, "-af", &gap], "-c:a pcm_s16le", &path);
    path
}

#[test]
fn a_gap_is_silence_up_to_five_seconds_and_up_to_the_time_of_sound() {
    let folder = Folder::new();
    for (gap, lasts) in [(0.05, 8.0), (1.0, 9.0), (4.0, 11.0), (36_000.0, 11.0)] {
        assert_lasts(&folder, &with_gap(&folder, gap, "gap.mkv"), lasts);
    }
}

#[test]
fn sound_that_begins_after_the_pictures_begins_with_silence() {
    let folder = Folder::new();
    for (name, late, lasts) in
        [("l.mkv", "2", 3.0), ("l.mp4", "2", 3.0), ("l.ts", "2", 3.0), ("h.mkv", "36000", 6.0)]
    {
        let path = folder.path(name);
        let pictures = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=4", "-itsoffset", late];
        let tone = ["-f", "lavfi", "-i", "sine=f=440:r=48000:d=1"];
        ffmpeg(&[&pictures[..], &tone].concat(), "-c:v mpeg4 -c:a aac", &path);
        assert_lasts(&folder, &path, lasts);
    }
}

#[test]
fn another_track_ten_hours_away_costs_nothing() {
    let folder = Folder::new();
    let path = folder.path("tracks.mkv");
    let tone = ["-f", "lavfi", "-i", "sine=f=440:r=48000:d=1"];
    let inputs = [&tone[..], &["-itsoffset", "36000"], &tone].concat();
    ffmpeg(&inputs, "-map 0:a -map 1:a -c:a libopus", &path);
    assert!(fs::metadata(&path).unwrap().len() < 40_000);
    assert_lasts(&folder, &path, 1.0);
}

#[test]
fn sound_whose_timestamps_begin_again_is_kept_once() {
    let folder = Folder::new();
    let part = folder.path("part.ts");
    ffmpeg(&["-f", "lavfi", "-i", "sine=f=440:r=48000:d=3"], "-c:a mp2", &part);
    let bytes = fs::read(part).unwrap();
    assert_lasts(&folder, &folder.file("twice.ts", &bytes.repeat(2)), 6.0);
}
