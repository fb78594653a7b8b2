//! Sound that is MP3 already stays what it was, to the sample, whatever container it comes in.

use crate::{
    material::{Folder, MUSIC, ffmpeg, samples},
    matrix::must_be_faultless,
    program::local,
};
use std::{fs, path::Path};

const SECONDS: f64 = 10.005;
/// Of constant and of variable rate, with padded frames and without.
const ENCODINGS: [&str; 3] = ["-b:a 128k", "-q:a 4", "-b:a 320k -ar 44100 -t 9.99"];

/// Makes a file with MP3 in it, and pictures where it may have some.
fn made(folder: &Folder, name: &str, encoding: &str) -> std::path::PathBuf {
    let music = format!("{MUSIC}:s=48000:d={SECONDS}");
    let path = folder.path(name);
    let pictures = if name.ends_with(".mp3") { "-vn" } else { "-c:v mpeg4" };
    let inputs = ["-f", "lavfi", "-i", &music, "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=10"];
    ffmpeg(&inputs, &format!("{pictures} -c:a libmp3lame {encoding}"), &path);
    path
}

fn copied(folder: &Folder, video: &Path) -> std::path::PathBuf {
    let mp3 = folder.path("copied.mp3");
    let ended = local(video, &mp3, &["--preset", "copy"]);
    assert_eq!(ended.code, Some(0), "{}: {ended:?}", video.display());
    mp3
}

/// The bytes behind the tag and the header's frame.
fn frames(mp3: &Path) -> Vec<u8> {
    let raw = mp3.with_extension("raw.mp3");
    let from = mp3.to_str().unwrap();
    ffmpeg(&["-i", from], "-map 0:a -c copy -write_xing 0 -id3v2_version 0 -map_metadata -1", &raw);
    fs::read(raw).unwrap()
}

#[test]
fn mp3_in_any_container_stays_what_it_was() {
    let folder = Folder::new();
    for encoding in ENCODINGS {
        let plain = made(&folder, "plain.mp3", encoding);
        let (want, sound) = (frames(&plain), samples(&plain));
        for name in ["plain.mp3", "film.mp4", "film.mov"] {
            let mp3 = copied(&folder, &made(&folder, name, encoding));
            must_be_faultless(name, &mp3);
            assert!(frames(&mp3) == want, "{name}, {encoding}: other frames");
            let same = samples(&mp3) == sound;
            assert!(same, "{name}, {encoding}: {} of {}", samples(&mp3).len(), sound.len());
        }
    }
}

#[test]
fn where_a_container_does_not_tell_silence_from_sound_all_is_played() {
    let folder = Folder::new();
    for (name, encoding) in [
        ("film.mkv", "-b:a 128k"),
        ("film.avi", "-b:a 128k"),
        ("film.ts", "-b:a 128k"),
        ("film.flv", "-b:a 128k -ar 44100 -c:v flv"),
        // MP4 has no word for a last frame that is none of the sound.
        ("half.mp4", "-b:a 64k -ar 22050 -ac 1"),
    ] {
        let video = made(&folder, name, encoding);
        let mp3 = copied(&folder, &video);
        must_be_faultless(name, &mp3);
        // Matroska tells the end of the sound and not its beginning: that alone cannot be passed on.
        let (have, want) = (samples(&mp3), samples(&video));
        assert!(have.starts_with(&want) && have.len() < want.len() + 4 * 1152, "{name}");
    }
}

#[test]
fn other_sound_is_encoded() {
    let folder = Folder::new();
    let video = folder.video("film.mp4", 2, "-c:v mpeg4 -c:a aac");
    let mp3 = fs::read(copied(&folder, &video)).unwrap();
    let encoded = folder.path("encoded.mp3");
    assert_eq!(local(&video, &encoded, &["--preset", "v2"]).code, Some(0));
    assert!(fs::read(encoded).unwrap() == mp3);
}

#[test]
fn a_copy_keeps_its_tag_and_its_cover_and_gets_a_place_for_every_moment() {
    let folder = Folder::new();
    let cover = folder.path("cover.png");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=s=64x64:d=0.04:r=25"], "-frames:v 1", &cover);
    let (music, plain) = (format!("{MUSIC}:s=44100:d=60"), folder.path("plain.mp3"));
    let inputs = ["-f", "lavfi", "-i", &music, "-i", cover.to_str().unwrap()];
    let arguments =
        "-map 0 -map 1 -c:a libmp3lame -q:a 2 -metadata title=Größe -disposition:v attached_pic";
    ffmpeg(&inputs, arguments, &plain);
    let mp3 = copied(&folder, &plain);
    let tag = id3::Tag::read_from_path(&mp3).unwrap();
    assert_eq!(id3::TagLike::title(&tag), Some("Größe"));
    assert_eq!(tag.pictures().count(), 1);
    // A player that jumps by the header lands where the sound is.
    let bytes = fs::read(&mp3).unwrap();
    let at = bytes.windows(4).position(|four| four == b"Xing").unwrap();
    let places = &bytes[at + 16..at + 116];
    assert!(places.is_sorted() && (126..=130).contains(&places[50]), "{places:?}");
}

#[test]
fn what_is_cut_off_is_not_copied_unless_that_is_asked_for() {
    let folder = Folder::new();
    let whole = fs::read(made(&folder, "whole.mp4", "-b:a 128k -movflags +faststart")).unwrap();
    let video = folder.file("cut.mp4", &whole[..whole.len() / 2]);
    let mp3 = folder.path("cut.mp3");
    let ended = local(&video, &mp3, &["--preset", "copy"]);
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.line().starts_with("converter-job: failed: truncated"), "{ended:?}");
    let ended = local(&video, &mp3, &["--preset", "copy", "--allow-truncated"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    must_be_faultless("cut.mp4", &mp3);
}

#[test]
fn a_copy_cannot_change_the_sound() {
    let folder = Folder::new();
    let video = made(&folder, "plain.mp3", "-b:a 128k");
    for option in ["--start=1", "--channels=mono", "--loudness=-16", "--bit-rate=64"] {
        let ended = local(&video, &folder.path("no.mp3"), &["--preset=copy", option]);
        assert_eq!(ended.code, Some(64), "{option}: {ended:?}");
        assert!(ended.line().contains("copy takes the sound as it is"), "{ended:?}");
    }
}
