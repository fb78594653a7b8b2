//! Files that something has been done to. Whatever one holds, its conversion ends in one of the ways that
//! there are, soon, in little memory, and leaves nothing but its MP3.
//!
//! `SEED` repeats what was done; each file that got through is kept for a look.

pub(crate) mod chance;

use crate::material::Folder;
use chance::{Chance, mutate};
use domain::Reason;
use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    iter, mem,
    num::NonZero,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Small files of every kind.
const KINDS: [(&str, &str); 25] = [
    ("end.mp4", "-c:v mpeg4 -c:a aac"),
    ("start.mp4", "-c:v mpeg4 -c:a aac -movflags +faststart"),
    ("fragments.mp4", "-c:v mpeg4 -g 5 -c:a aac -movflags +frag_keyframe+empty_moov"),
    ("film.mov", "-c:v mpeg4 -c:a pcm_s16le -ar 8000"),
    ("film.mkv", "-c:v mpeg4 -c:a flac -ar 16000"),
    ("film.webm", "-vn -c:a libopus"),
    ("film.avi", "-c:v mpeg4 -c:a mp3"),
    ("film.flv", "-c:v flv -c:a mp3 -ar 44100"),
    ("film.ts", "-c:v mpeg2video -c:a mp2"),
    ("film.mpg", "-c:v mpeg2video -c:a mp2"),
    ("film.wmv", "-c:v msmpeg4 -c:a wmav2"),
    ("film.3gp", "-vn -c:a aac"),
    ("plain.m4a", "-vn -c:a alac -ar 8000"),
    ("vorbis.ogg", "-vn -c:a libvorbis"),
    ("opus.ogg", "-vn -c:a libopus"),
    ("plain.wav", "-vn -ar 8000"),
    ("packed.wav", "-vn -c:a adpcm_ms -ar 16000"),
    ("plain.w64", "-vn -ar 8000"),
    ("plain.flac", "-vn -ar 16000"),
    ("plain.mp3", "-vn -b:a 64k"),
    ("plain.aac", "-vn"),
    ("plain.aiff", "-vn -ar 8000"),
    ("plain.caf", "-vn -ar 8000"),
    ("plain.au", "-vn -ar 8000"),
    ("plain.ac3", "-vn"),
];
/// Seconds that one conversion may take, also beside others. Alone the slowest of 20,000 took 7: a
/// fragment that says that it has millions of samples, over which FFmpeg itself takes 6.
const SECONDS: &str = "30";
/// Memory that its largest process may hold.
const PEAK: u64 = 256 << 20;

/// What came of all files: how often each end, and what must not be.
#[derive(Default)]
struct Told {
    ends: BTreeMap<String, u32>,
    peak: u64,
    crashes: Vec<String>,
    wrong: Vec<String>,
}

#[test]
fn a_mutated_file_ends_in_one_of_the_known_ways() {
    let files = if env::var("SOAK_MINUTES").is_ok() { 20_000 } else { 1_000 };
    let seed = chance::seed();
    let folder = Folder::new();
    let whole = KINDS.map(|(name, arguments)| {
        let path = folder.video(name, 1, arguments);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        (name, bytes)
    });
    let (next, told) = (AtomicU64::new(0), Mutex::new(Told::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for number in numbers.take_while(|number| *number < files) {
                    convert(&folder, &whole, seed, number, &told);
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    tell(seed, files, &told);
    assert!(told.wrong.is_empty(), "SEED={seed}\n{}", told.wrong.join("\n"));
    assert_eq!(folder.names(), [""; 0]);
}

/// Not through the test's captured output: it is worth a look whenever it passes, too.
fn tell(seed: u64, files: u64, told: &Told) {
    let mut table = format!("\n{files} mutated files, SEED={seed}, {} MB\n", told.peak >> 20);
    for (end, count) in &told.ends {
        table += &format!("{count:7} {end}\n");
    }
    for crash in &told.crashes {
        table += &format!("{crash}\n");
    }
    io::stderr().write_all(table.as_bytes()).unwrap();
}

/// Makes one file, has it converted, and tells what came of it.
fn convert(folder: &Folder, whole: &[(&str, Vec<u8>)], seed: u64, number: u64, told: &Mutex<Told>) {
    let mut chance = Chance::new(seed, number);
    let (kind, bytes) = &whole[chance.below(whole.len())];
    let mut bytes = bytes.clone();
    let done = mutate(&mut bytes, &mut chance);
    let video = folder.file(&format!("{number}-{kind}"), &bytes);
    let mp3 = folder.path(&format!("{number}.mp3"));
    let allow = if chance.below(2) == 0 { "--allow-truncated" } else { "--preset=v2" };
    let ended = run(&video, &mp3, allow);
    let is_there = fs::remove_file(&mp3).is_ok();
    fs::remove_file(video).unwrap();
    let end = judge(&ended, is_there);
    let mut told = told.lock().unwrap();
    told.peak = told.peak.max(ended.peak);
    if end.is_err() || ended.log.contains("crashed on it") {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed}-{number}-{kind}"));
        fs::write(&kept, bytes).unwrap();
        let line = format!("{} {allow} ({}): {ended:?}", kept.display(), done.join(", "));
        match &end {
            Ok(_) => told.crashes.push(line),
            Err(wrong) => told.wrong.push(format!("{wrong}: {line}")),
        }
    }
    *told.ends.entry(end.unwrap_or_else(|wrong| wrong)).or_default() += 1;
}

/// The end's name, where it may be.
fn judge(ended: &Ended, is_there: bool) -> Result<String, String> {
    let line = ended.log.lines().last().unwrap_or_default();
    let told = line.strip_prefix("converter-job: ").and_then(|line| line.split_once(": "));
    if is_there != (ended.status.code() == Some(0)) {
        return Err("an MP3 that should not be, or none".to_owned());
    }
    if ended.peak > PEAK.max(own_peak()) {
        return Err("too much memory".to_owned());
    }
    match (ended.status.code(), told) {
        (Some(0), Some(("succeeded", _))) => Ok("converted".to_owned()),
        (Some(76), Some((end @ "out_of_memory", _))) => Ok(end.to_owned()),
        (Some(65 | 66), Some(("failed", why))) => {
            let reason = why.split(':').next().unwrap_or_default();
            let known = serde_json::from_value::<Reason>(reason.into()).is_ok();
            let crashed = if line.contains("crashed on it") { ", crashed" } else { "" };
            if known { Ok(format!("{reason}{crashed}")) } else { Err("no reason".to_owned()) }
        }
        (Some(124), _) => Err("too slow".to_owned()),
        _ => Err(format!("{}", ended.status)),
    }
}

/// The most memory that this process has held, in bytes. A child begins with it as its own: it is
/// started out of the same memory.
fn own_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes = line.trim().strip_suffix(" kB").unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// How a conversion ended.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    log: String,
    /// Of the largest of its processes, in bytes.
    peak: u64,
}

fn run(video: &Path, mp3: &Path, allow: &str) -> Ended {
    let mut command = Command::new("timeout");
    command.args([SECONDS, env!("CARGO_BIN_EXE_converter-job"), "local"]).args([video, mp3]);
    command.arg(allow).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut log).unwrap();
    let (status, peak) = wait(child);
    Ended { status, log: String::from_utf8_lossy(&log).into_owned(), peak }
}

/// Waits for a child; how it ended, and the most memory that it or one of its own held.
#[expect(unsafe_code, reason = "the standard library waits without asking for what was used")]
fn wait(child: Child) -> (ExitStatus, u64) {
    let mut status = 0;
    // SAFETY: numbers, all of which may be zero.
    let mut used: libc::rusage = unsafe { mem::zeroed() };
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: it fills both; `child` has not been waited for, and goes away without.
    assert_eq!(unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) }, pid);
    (ExitStatus::from_raw(status), u64::try_from(used.ru_maxrss).unwrap() * 1024)
}
