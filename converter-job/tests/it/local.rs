//! Files that convert: the MP3 has the samples that the `ffmpeg` command makes.

use crate::{
    material::{Folder, samples},
    program::{decoder_of, end, is_alive, kill, local, local_at_work, pid_of, until},
};
use rustix::process::Signal;
use std::{fs, path::Path};

/// Converts with both programs and compares every sample.
pub(crate) fn sounds_like_ffmpeg(folder: &Folder, video: &Path, preset: &str, arguments: &str) {
    let mp3 = folder.path("ours.mp3");
    let ended = local(video, &mp3, &["--preset", preset, "--allow-truncated"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Where several threads may encode there is no reservoir.
    let reservoir = u32::from(["320", "256"].contains(&preset));
    let arguments = format!("{arguments} -reservoir {reservoir}");
    let (ours, theirs) = (samples(&mp3), samples(&folder.reference(video, &arguments)));
    assert!(!ours.is_empty());
    assert!(ours == theirs, "{}: {} and {} bytes", video.display(), ours.len(), theirs.len());
}

#[test]
fn every_container_and_codec_gives_what_ffmpeg_gives() {
    let folder = Folder::new();
    let videos = [
        ("index-at-end.mp4", "-c:v mpeg4 -c:a aac"),
        ("index-at-start.mp4", "-c:v mpeg4 -c:a aac -movflags +faststart"),
        ("fragments.mp4", "-c:v mpeg4 -c:a aac -movflags +frag_keyframe+empty_moov"),
        ("matroska.mkv", "-c:v mpeg4 -c:a flac"),
        ("web.webm", "-c:v libvpx -deadline realtime -c:a libopus"),
        ("transport.ts", "-c:v mpeg2video -c:a mp2"),
        ("flash.flv", "-c:v flv -c:a mp3 -ar 44100"),
        ("windows.asf", "-c:v msmpeg4 -c:a wmav2"),
        ("interleaved.avi", "-c:v mpeg4 -c:a ac3"),
        ("surround.mp4", "-c:v mpeg4 -c:a aac -ac 6"),
        ("plain.wav", "-vn"),
        ("eight-bits.wav", "-vn -c:a pcm_u8 -ac 1 -ar 11000"),
        ("high.flac", "-vn -ar 96000 -sample_fmt s32"),
        ("vorbis.ogg", "-vn -c:a libvorbis"),
    ];
    for (name, arguments) in videos {
        let video = folder.video(name, 5, arguments);
        // Six channels may not add up to more than full scale.
        sounds_like_ffmpeg(&folder, &video, "v2", "-q:a 2 -rematrix_maxval 0.999");
    }
}

#[test]
fn every_preset_gives_what_ffmpeg_gives() {
    let folder = Folder::new();
    let video = folder.video("film.mp4", 5, "-c:v mpeg4 -c:a aac");
    for (preset, arguments) in [
        ("v0", "-q:a 0"),
        ("v4", "-q:a 4"),
        ("320", "-b:a 320k"),
        ("256", "-b:a 256k"),
        ("192", "-b:a 192k"),
        ("128", "-b:a 128k"),
    ] {
        sounds_like_ffmpeg(&folder, &video, preset, arguments);
    }
}

#[test]
fn damage_in_the_middle_is_passed_over_and_lasts_as_long() {
    let folder = Folder::new();
    let video = folder.video("film.mkv", 10, "-c:v mpeg4 -c:a aac");
    let mut bytes = fs::read(&video).unwrap();
    let middle = bytes.len() / 2;
    for byte in bytes[middle..].iter_mut().step_by(997).take(100) {
        *byte ^= 0xff;
    }
    fs::write(&video, bytes).unwrap();
    let mp3 = folder.path("film.mp3");
    assert_eq!(local(&video, &mp3, &[]).code, Some(0));
    let seconds = samples(&mp3).len() as f64 / 4.0 / 48_000.0;
    assert!((seconds - 10.0).abs() < 0.15, "{seconds} s");
}

#[test]
fn the_mp3_lasts_as_long_as_the_sound_within_one_frame() {
    let folder = Folder::new();
    for arguments in ["-c:v mpeg4 -c:a aac", "-c:v mpeg4 -c:a aac -ar 44100", "-c:v mpeg4 -c:a ac3"]
    {
        let video = folder.video("film.mp4", 7, arguments);
        let mp3 = folder.path("film.mp3");
        assert_eq!(local(&video, &mp3, &[]).code, Some(0));
        let (before, after) = (samples(&video).len() / 4, samples(&mp3).len() / 4);
        assert!(before.abs_diff(after) <= 1152, "{arguments}: {before} samples became {after}");
    }
}

#[test]
fn an_interrupted_conversion_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new();
        let child = local_at_work(&folder.long_sound("long.flac", 20), &folder.path("long.mp3"));
        let decoder = decoder_of(&child);
        kill(pid_of(&child), signal);
        let ended = end(child);
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert_eq!(folder.names(), ["long.flac"]);
        until("the decoder is gone", || (!is_alive(decoder)).then_some(()));
    }
}

#[test]
fn a_decoder_that_is_killed_is_trouble_and_leaves_nothing() {
    let folder = Folder::new();
    let child = local_at_work(&folder.long_sound("long.flac", 20), &folder.path("long.mp3"));
    kill(decoder_of(&child), Signal::KILL);
    let ended = end(child);
    assert!(matches!(ended.code, Some(75 | 76)), "{ended:?}");
    assert_eq!(folder.names(), ["long.flac"]);
}

#[test]
fn an_existing_mp3_is_replaced_by_a_whole_one_or_not_at_all() {
    let folder = Folder::new();
    let mp3 = folder.file("film.mp3", b"the one before");
    let text = folder.file("text.mp4", b"no video");
    assert_eq!(local(&text, &mp3, &[]).code, Some(65));
    assert_eq!(fs::read(&mp3).unwrap(), b"the one before");
    let video = folder.video("film.mp4", 1, "-c:v mpeg4 -c:a aac");
    assert_eq!(local(&video, &mp3, &[]).code, Some(0));
    assert!(fs::read(&mp3).unwrap().starts_with(b"ID3"));
}

#[test]
fn wrong_use_is_told_and_changes_nothing() {
    let folder = Folder::new();
    let video = folder.file("film.mp4", b"film");
    let wrong = [
        (folder.path("absent.mp4"), folder.path("film.mp3")),
        (video.clone(), video.clone()),
        (video.clone(), folder.path("")),
        (folder.path(""), folder.path("film.mp3")),
        (video.clone(), folder.path("absent/film.mp3")),
    ];
    for (from, to) in wrong {
        let ended = local(&from, &to, &[]);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.line().starts_with("converter-job: usage: "), "{ended:?}");
    }
    assert_eq!(local(&video, &folder.path("film.mp3"), &["--preset", "v9"]).code, Some(2));
    assert_eq!(folder.names(), ["film.mp4"]);
}
