//! What it costs that the bit reservoir is off, without which several threads could not encode: noise
//! and bytes, on real music. `Tuning::of` rests on these numbers.

use crate::{
    material::{Folder, ffmpeg},
    matrix::{decoded, signal_to_noise},
    music::tracks,
    threads::converted,
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Options, the same for `ffmpeg`, and the decibels that may be lost on an average.
const CODINGS: [(&str, &str, f64); 9] = [
    ("--bit-rate=128", "-b:a 128k", 0.5),
    ("--bit-rate=160", "-b:a 160k", 0.5),
    ("--bit-rate=192", "-b:a 192k", 0.5),
    ("--bit-rate=224", "-b:a 224k", 0.5),
    ("--bit-rate=256", "-b:a 256k", f64::MAX),
    ("--bit-rate=320", "-b:a 320k", f64::MAX),
    ("--preset=v0", "-q:a 0", 0.5),
    ("--preset=v2", "-q:a 2", 0.5),
    ("--preset=v4", "-q:a 4", 0.5),
];
/// One minute of each track, without its beginning.
const EXCERPT: &str = "-ss 20 -t 60 -c:a pcm_s16le";
/// Bytes of a track that has so much. Every other one is enough.
const LONG: u64 = 2 << 20;

/// What one track lost with one coding: decibels, and bytes as a share.
type Lost = (f64, f64);

#[test]
fn the_missing_reservoir_costs_little() {
    let mut tracks = tracks(&["frantic.ogg"]);
    tracks.retain(|track| track.metadata().unwrap().len() > LONG);
    let tracks: Vec<_> = tracks.into_iter().step_by(2).collect();
    let lost = Mutex::new(vec![Vec::<Lost>::new(); CODINGS.len()]);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(track) = tracks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for (of_track, of_all) in
                        measure(track).into_iter().zip(lost.lock().unwrap().iter_mut())
                    {
                        of_all.push(of_track);
                    }
                }
            });
        }
    });
    let lost = lost.into_inner().unwrap();
    tell(tracks.len(), &lost);
    for ((coding, _, most), lost) in CODINGS.iter().zip(&lost).filter(|(_, lost)| !lost.is_empty())
    {
        let mean = mean(lost.iter().map(|lost| lost.0));
        assert!(mean <= *most, "{coding}: {mean} dB");
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// What a track loses with each coding.
fn measure(track: &Path) -> Vec<Lost> {
    let folder = Folder::new();
    let excerpt = folder.path("excerpt.wav");
    ffmpeg(&["-i", track.to_str().unwrap()], EXCERPT, &excerpt);
    let source = decoded(&excerpt, "");
    let of = |(option, reference, _): &(&str, &str, f64)| {
        let (with, without) = both(&folder, &excerpt, option, reference);
        let ratio = |mp3: &Path| signal_to_noise(&source, &decoded(mp3, ""));
        let size = |mp3: &Path| mp3.metadata().unwrap().len() as f64;
        (ratio(&with) - ratio(&without), size(&without) / size(&with) - 1.0)
    };
    CODINGS.iter().map(of).collect()
}

/// The MP3 with the reservoir and the one without; at the rates that always have it, the latter is
/// that of `ffmpeg`.
fn both(folder: &Folder, excerpt: &Path, option: &str, reference: &str) -> (PathBuf, PathBuf) {
    let with = folder.file("with.mp3", &converted(folder, excerpt, &[option, "--serial"]));
    let plain = converted(folder, excerpt, &[option]);
    let without = if plain == std::fs::read(&with).unwrap() {
        folder.reference(excerpt, &format!("{reference} -reservoir 0"))
    } else {
        folder.file("without.mp3", &plain)
    };
    (with, without)
}

/// Not through the test's captured output: the numbers are what one wants to see.
fn tell(tracks: usize, lost: &[Vec<Lost>]) {
    let mut table = format!("\n{tracks} tracks without the reservoir: dB lost, bytes more\n");
    for ((coding, ..), lost) in CODINGS.iter().zip(lost).filter(|(_, lost)| !lost.is_empty()) {
        let decibels = mean(lost.iter().map(|lost| lost.0));
        let worst = lost.iter().map(|lost| lost.0).fold(f64::MIN, f64::max);
        let bytes = mean(lost.iter().map(|lost| lost.1)) * 100.0;
        table += &format!("{coding:>15} mean {decibels:6.2}  worst {worst:6.2}  {bytes:+5.1} %\n");
    }
    io::stderr().write_all(table.as_bytes()).unwrap();
}
