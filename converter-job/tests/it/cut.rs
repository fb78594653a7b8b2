//! Files that end too early: never sold as whole, converted as far as they go where that is asked
//! for. Honest files, however odd, are none of them.

use crate::{
    local::sounds_like_ffmpeg,
    material::{Folder, samples, wav},
    program::local,
    refused::refused,
};
use std::{fs, path::Path};

/// Kinds of file, and where in the hundred a cut leaves nothing to decode.
const KINDS: [(&str, &str, usize); 17] = [
    ("end.mp4", "-c:v mpeg4 -c:a aac", 99),
    ("start.mp4", "-c:v mpeg4 -c:a aac -movflags +faststart", 0),
    ("fragments.mp4", "-c:v mpeg4 -c:a aac -movflags +frag_keyframe+empty_moov", 0),
    ("dash.mp4", "-c:v mpeg4 -g 25 -c:a aac -movflags +dash+global_sidx", 10),
    ("end.mov", "-c:v mpeg4 -c:a pcm_s16le", 99),
    ("start.mov", "-c:v mpeg4 -c:a pcm_s16le -movflags +faststart", 0),
    ("film.mkv", "-c:v mpeg4 -c:a aac", 0),
    ("live.mkv", "-c:v mpeg4 -c:a flac -live 1", 0),
    ("film.webm", "-vn -c:a libopus", 0),
    ("plain.wav", "-vn", 0),
    ("large.wav", "-vn -rf64 always", 0),
    ("plain.flac", "-vn", 0),
    ("vorbis.ogg", "-vn -c:a libvorbis", 10),
    ("variable.mp3", "-vn -q:a 4", 0),
    ("stream.aac", "-vn", 0),
    ("film.avi", "-c:v mpeg4 -c:a mp3", 0),
    ("plain.aiff", "-vn", 0),
];

fn cut(folder: &Folder, name: &str, bytes: &[u8], percent: usize) -> std::path::PathBuf {
    folder.file(&format!("{percent}-{name}"), &bytes[..bytes.len() * percent / 100])
}

#[test]
fn a_file_that_is_cut_off_says_so_and_gives_what_is_there_only_on_demand() {
    let folder = Folder::new();
    for (name, arguments, nothing) in KINDS {
        let bytes = fs::read(folder.video(name, 5, arguments)).unwrap();
        for percent in [10, 50, 99] {
            let video = cut(&folder, name, &bytes, percent);
            refused(&folder, &video, "truncated");
            let mp3 = folder.path("part.mp3");
            let ended = local(&video, &mp3, &["--allow-truncated"]);
            if percent <= nothing {
                assert_eq!(ended.code, Some(65), "{name}: {ended:?}");
                assert!(ended.line().contains("failed: truncated: "), "{name}: {ended:?}");
                assert!(ended.line().contains("nothing of what is there"), "{name}: {ended:?}");
                continue;
            }
            assert_eq!(ended.code, Some(0), "{percent} {name}: {ended:?}");
            let seconds = samples(&mp3).len() as f64 / 4.0 / 48_000.0;
            let expected = percent as f64 / 20.0;
            assert!((seconds - expected).abs() < 1.0, "{percent} {name}: {seconds} s");
            fs::remove_file(mp3).unwrap();
        }
    }
}

#[test]
fn what_is_there_sounds_as_it_did() {
    let folder = Folder::new();
    let whole = folder.video("film.mp4", 10, "-c:v mpeg4 -c:a aac -movflags +faststart");
    let video = cut(&folder, "film.mp4", &fs::read(whole).unwrap(), 50);
    sounds_like_ffmpeg(&folder, &video, "v2", "-q:a 2");
}

#[test]
fn a_transport_stream_that_ends_within_a_packet_is_cut_off() {
    let folder = Folder::new();
    for (name, arguments) in [
        ("film.ts", "-c:v mpeg2video -c:a mp2"),
        ("disc.m2ts", "-c:v mpeg2video -c:a ac3 -mpegts_m2ts_mode 1"),
    ] {
        let bytes = fs::read(folder.video(name, 3, arguments)).unwrap();
        refused(&folder, &folder.file("cut.ts", &bytes[..bytes.len() - 50]), "truncated");
    }
}

fn whole(video: &Path, mp3: &Path) {
    let ended = local(video, mp3, &[]);
    assert_eq!(ended.code, Some(0), "{}: {ended:?}", video.display());
}

#[test]
fn honest_files_are_never_called_cut_off() {
    let folder = Folder::new();
    let mp3 = folder.path("out.mp3");
    let more = [
        ("sized.mkv", "-c:v mpeg4 -c:a libvorbis -cluster_time_limit 100", 0),
        ("windows.asf", "-c:v msmpeg4 -c:a wmav2", 0),
        ("flash.flv", "-c:v flv -c:a mp3 -ar 44100", 0),
        ("film.ts", "-c:v mpeg2video -c:a mp2", 0),
        ("bare.mp3", "-vn -q:a 4 -write_xing 0", 0),
        ("tagged.mp3", "-vn -write_id3v1 1 -metadata title=x", 0),
        ("short.mp4", "-c:v mpeg4 -c:a aac -af atrim=0:0.4", 0),
        ("late.mkv", "-c:v mpeg4 -c:a aac -af asetpts=PTS+1/TB", 0),
    ];
    for (name, arguments, _) in KINDS.into_iter().chain(more) {
        for seconds in [1, 4] {
            let video = folder.video(name, seconds, arguments);
            whole(&video, &mp3);
            let bytes = fs::read(&video).unwrap();
            for junk in [&[0; 1000][..], &b"text behind the end\n".repeat(50)] {
                whole(&folder.file(&format!("junk-{name}"), &[&bytes, junk].concat()), &mp3);
            }
        }
    }
}

#[test]
fn sizes_that_nobody_came_back_to_fill_in_claim_nothing() {
    let folder = Folder::new();
    let mp3 = folder.path("out.mp3");
    for size in [0, u32::MAX, 0x7fff_ffff, 0x7fff_f000] {
        let mut bytes = wav(48_000, 2, 100_000);
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        bytes[40..44].copy_from_slice(&size.to_le_bytes());
        whole(&folder.file("piped.wav", &bytes), &mp3);
    }
}
