//! Real music, in files as films have it: exactness and quality are claims about sound that people hear,
//! not about noise alone.
//!
//! `MUSIC` names the folder; `scripts/music` fetches it.

use crate::{
    material::{Folder, ffmpeg},
    matrix::{decoded, must_be_faultless, must_sound_as_good, shape},
    threads::converted,
};
use std::{
    env, fs, iter,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// File names and the arguments that make them.
const FILMS: [(&str, &str); 5] = [
    ("film.mp4", "-c:v mpeg4 -c:a aac -b:a 192k"),
    ("film.mkv", "-c:v mpeg4 -c:a flac"),
    ("plain.ogg", "-vn -c:a copy"),
    ("broadcast.mkv", "-c:v mpeg4 -c:a aac -b:a 256k -ar 48000"),
    ("film.mov", "-c:v mpeg4 -c:a pcm_s16le"),
];
/// Presets, and the arguments that make the same of it with `ffmpeg`.
const PRESETS: [(&str, &str); 4] =
    [("v2", "-q:a 2"), ("v0", "-q:a 0"), ("192", "-b:a 192k"), ("128", "-b:a 128k")];
/// Those that are tried where there is no time for all.
const FEW: [&str; 2] = ["battle-epic.ogg", "main_menu.ogg"];

#[test]
fn real_music_has_the_same_bytes_on_any_number_of_threads_and_sounds_as_good_as_from_ffmpeg() {
    let tracks = tracks(&FEW);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for number in numbers.take_while(|number| *number < tracks.len()) {
                    judge(&tracks[number], FILMS[number % FILMS.len()]);
                }
            });
        }
    });
}

/// The music that there is: all of it in a soak, else these few.
pub(crate) fn tracks(few: &[&str]) -> Vec<PathBuf> {
    let Some(folder) = env::var_os("MUSIC").filter(|folder| !folder.is_empty()) else {
        eprintln!("\nSKIPPED: real music: MUSIC is not set\n");
        return Vec::new();
    };
    let entries = fs::read_dir(folder).unwrap();
    let mut tracks: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let soak = env::var("SOAK_MINUTES").is_ok();
    tracks.retain(|track| {
        let listed = few.iter().any(|name| track.ends_with(name));
        listed || soak && track.extension().is_some_and(|kind| kind == "ogg")
    });
    tracks.sort();
    assert!(!tracks.is_empty(), "MUSIC has none");
    tracks
}

fn judge(track: &Path, (film, arguments): (&str, &str)) {
    let folder = Folder::new();
    let video = folder.path(film);
    let pictures = "testsrc=s=160x120:r=5";
    let track = track.to_str().unwrap();
    let inputs = ["-i", track, "-f", "lavfi", "-i", pictures];
    ffmpeg(&inputs, &format!("{arguments} -map 0:a -map 1:v? -shortest"), &video);
    let mut source = None;
    for (preset, reference) in PRESETS {
        let name = format!("{track} as {film}, {preset}");
        let of = |threads| converted(&folder, &video, &["--preset", preset, "--threads", threads]);
        let one = of("1");
        for threads in ["2", "3"] {
            assert!(of(threads) == one, "{name}: {threads} threads");
        }
        let ours = folder.file("ours.mp3", &one);
        must_be_faultless(&name, &ours);
        let theirs = folder.reference(&video, &format!("{reference} -reservoir 0"));
        let shape = shape(&ours);
        let source = source.get_or_insert_with(|| decoded(&video, &shape));
        must_sound_as_good(&name, &shape, source, &ours, &theirs);
    }
}
