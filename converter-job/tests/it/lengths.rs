//! Sound of any length, rate and cut, shorter than one MP3 frame or as long as some segments: however
//! many threads encode, the MP3 has the same bytes, lasts as long as what is wanted, and is sound.
//!
//! `SEED` repeats what was tried.

use crate::{
    material::Folder,
    matrix::{must_be_faultless, shape},
    mutated::chance::{self, Chance},
    threads::{FIRST, FRAME, converted, noise},
};
use std::{
    env, fs,
    io::{self, Write},
    iter,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

const RATES: [u32; 11] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 37_800, 96_000];
/// Rates that MP3 has.
const OURS: [u32; 3] = [22_050, 44_100, 48_000];
/// Milliseconds that no cut goes below.
const SHORTEST: usize = 5;

/// Samples that there may be too many or too few: where the rate changes one, and that of the video may
/// be longer, which a cut never divides.
fn may_be_apart(rate: f64, case: &Case) -> f64 {
    0.5 + (rate / f64::from(case.rate)).max(1.0)
}

/// Something to convert.
#[derive(Debug)]
struct Case {
    rate: u32,
    channels: u16,
    /// In samples.
    length: usize,
    options: Vec<String>,
    /// In milliseconds; `None` for all of it.
    cut: Option<(usize, usize)>,
}

#[test]
fn whatever_the_length_any_number_of_threads_gives_the_same_bytes() {
    let cases = if env::var("SOAK_MINUTES").is_ok() { 1_000 } else { 24 };
    let seed = chance::seed();
    writeln!(io::stderr(), "\n{cases} lengths, SEED={seed}").unwrap();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for number in numbers.take_while(|number| *number < cases) {
                    let name = format!("SEED={seed}, number {number}");
                    judge(&name, &Case::new(&mut Chance::new(seed, number)));
                }
            });
        }
    });
}

impl Case {
    fn new(chance: &mut Chance) -> Self {
        let (rate, channels) = (chance.one_of(&RATES), 1 + chance.below(2) as u16);
        let step = if rate < 32_000 { FRAME / 2 } else { FRAME };
        let near = |frames: usize, chance: &mut Chance| frames * step + chance.below(5 * step);
        let length = match chance.below(8) {
            0 | 1 => 1 + chance.below(3 * step),
            2..=4 => 1 + chance.below(5 * rate as usize),
            // About where the first and the second segment end.
            5 | 6 => near(FIRST - 1, chance),
            _ => near(2 * FIRST - 1, chance),
        };
        let mut options = vec![match chance.below(3) {
            0 => format!("--quality={}", chance.below(10)),
            1 if rate < 16_000 => format!("--bit-rate={}", chance.one_of(&[32, 40, 48, 56, 64])),
            1 => format!("--bit-rate={}", chance.one_of(&[64, 96, 128, 160])),
            _ => format!("--preset={}", chance.one_of(&["v0", "v2", "v4"])),
        }];
        if chance.below(3) == 0 {
            options.push(format!("--channels={}", chance.one_of(&["mono", "stereo", "joint"])));
        }
        if chance.below(4) == 0 {
            options.push(format!("--sample-rate={}", chance.one_of(&OURS)));
        }
        let ms = length * 1000 / rate as usize;
        let cut = (ms > 2 * SHORTEST && chance.below(3) == 0).then(|| {
            let start = chance.below(ms - SHORTEST);
            (start, start + SHORTEST + chance.below(ms - start))
        });
        if let Some((start, end)) = cut {
            let seconds = |ms| ms as f64 / 1000.0;
            options.push(format!("--start={}", seconds(start)));
            options.push(format!("--end={}", seconds(end)));
        }
        Self { rate, channels, length, options, cut }
    }

    /// Seconds of sound that are wanted.
    fn seconds(&self) -> f64 {
        let all = self.length as f64 / f64::from(self.rate);
        let cut = |(start, end)| (end as f64 / 1000.0).min(all) - start as f64 / 1000.0;
        self.cut.map_or(all, cut)
    }
}

/// Samples of all channels that mpg123 plays. FFmpeg does not leave out the beginning of a frame whose
/// end is to be left out as well, unless it is the first: of less than 48 samples it plays 529 more.
fn heard(mp3: &Path) -> usize {
    let output = Command::new("mpg123").args(["-q", "-s"]).arg(mp3).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout.len() / 2
}

fn judge(name: &str, case: &Case) {
    let folder = Folder::new();
    let video = noise(&folder, case.rate, case.channels, case.length);
    let options: Vec<&str> = case.options.iter().map(String::as_str).collect();
    let of =
        |threads| converted(&folder, &video, &[&options[..], &["--threads", threads]].concat());
    let one = of("1");
    for threads in ["2", "3", "8"] {
        assert!(of(threads) == one, "{name}: {threads} threads: {case:?}");
    }
    let mp3 = folder.path("one.mp3");
    fs::write(&mp3, one).unwrap();
    let name = format!("{name}: {case:?}");
    must_be_faultless(&name, &mp3);
    let shape = shape(&mp3);
    let rate: f64 = shape.split(' ').nth(1).unwrap().parse().unwrap();
    let channels = if shape.contains("-ac 1") { 1 } else { 2 };
    let length = heard(&mp3) / channels;
    let apart = length as f64 - case.seconds() * rate;
    assert!(apart.abs() <= may_be_apart(rate, case), "{name}: {length} samples, {apart} too many");
}
