//! The program as a user runs it: the real one, with real converters, on files of its own and
//! against a server that only notes who asks.

#![expect(clippy::unwrap_used, reason = "a test may fail at every step")]

#[path = "command_line/doctor.rs"]
mod doctor;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;

const RATE: u32 = 44_100;

fn folder() -> TempDir {
    let program = Path::new(env!("CARGO_BIN_EXE_audio-converter"));
    let converter = program.with_file_name("converter-job");
    assert!(converter.is_file(), "`cargo build -p converter-job` comes first");
    tempfile::tempdir().unwrap()
}

/// The program in `folder`, with nothing of the caller's environment.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audio-converter"));
    command.args(arguments).current_dir(folder).env_clear().env("XDG_CONFIG_HOME", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its exit code, and the lines of its standard output.
fn run(folder: &Path, arguments: &[&str]) -> (i32, Vec<String>) {
    read(&program(folder, arguments).output().unwrap())
}

fn read(output: &Output) -> (i32, Vec<String>) {
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (output.status.code().unwrap(), lines)
}

/// Silence in a WAV file, whatever its name says; hours of it take no room on the disk.
fn silence(path: &Path, seconds: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let length = RATE * 2 * seconds;
    let mut file = File::create(path).unwrap();
    let mut head = Vec::from(*b"RIFF");
    head.extend((36 + length).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    head.extend(RATE.to_le_bytes());
    head.extend((RATE * 2).to_le_bytes());
    head.extend(b"\x02\0\x10\0data");
    head.extend(length.to_le_bytes());
    file.write_all(&head).unwrap();
    file.set_len(u64::from(length) + 44).unwrap();
}

/// Every file below `folder`, also hidden ones.
fn files(folder: &Path) -> Vec<String> {
    let below = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let files = below.filter(|entry| entry.file_type().is_file());
    let shown = files.map(|f| f.path().strip_prefix(folder).unwrap().display().to_string());
    shown.collect()
}

#[test]
fn a_tree_is_converted_once() {
    let folder = folder();
    for file in ["in/a.mp4", "in/a.mkv", "in/s/b.wav", "in/.c.wav"] {
        silence(&folder.path().join(file), 1);
    }
    fs::write(folder.path().join("in/notes.txt"), "no video").unwrap();
    let call = ["convert", "in", "-o", "out", "--json"];
    let (code, lines) = run(folder.path(), &call);
    assert_eq!((code, lines.len()), (0, 3), "{lines:?}");
    let made = ["a (mkv).mp3", "a (mp4).mp3", "s/b.mp3"];
    assert_eq!(files(&folder.path().join("out")), made);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["state"], &line["seconds"]), (&"succeeded".into(), &1.into()), "{line}");
    let (code, lines) = run(folder.path(), &call);
    assert!(code == 0 && lines.iter().all(|line| line.contains("skipped")), "{lines:?}");
    // The other way round, and one by one, the names are the same.
    let single = ["convert", "in/a.mp4", "in/a.mkv", "-o", "out"];
    let (code, lines) = run(folder.path(), &single);
    assert!(code == 0 && lines.iter().all(|line| line.contains("skipped")), "{lines:?}");
    assert_eq!(files(&folder.path().join("out")), made);
}

#[test]
fn nothing_is_overwritten_by_accident() {
    let folder = folder();
    let mp3 = folder.path().join("a.mp3");
    silence(&folder.path().join("a.wav"), 1);
    fs::write(&mp3, "mine").unwrap();
    assert_eq!(run(folder.path(), &["convert", "a.wav"]).0, 2);
    assert_eq!(run(folder.path(), &["convert", "a.wav", "-n"]), (0, Vec::new()));
    assert_eq!(fs::read(&mp3).unwrap(), b"mine");
    assert_eq!(run(folder.path(), &["convert", "a.wav", "-y"]).0, 0);
    let made = fs::read(&mp3).unwrap();
    assert_ne!(made, b"mine");
    // Older than its video: neither done nor ours to replace.
    let file = File::options().write(true).open(&mp3).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let refused = program(folder.path(), &["convert", "a.wav"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("is older than its video. -y replaces it, -n keeps it"), "{words}");
    assert_eq!(fs::read(&mp3).unwrap(), made);
    assert_eq!(files(folder.path()), ["a.mp3", "a.wav"]);
}

#[test]
fn a_signal_leaves_nothing_half() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = folder();
        for name in ["a.wav", "b.wav", "c.wav"] {
            silence(&folder.path().join(name), 20_000);
        }
        let mut program = program(folder.path(), &["convert", ".", "-o", "out", "--jobs", "2"]);
        let program = program.spawn().unwrap();
        let began = |file: &String| file.contains(".converter-job-");
        let out = folder.path().join("out");
        until(|| files(&out).iter().filter(|file| began(file)).count() == 2);
        assert_ne!(converters(folder.path()), 0);
        let id = Pid::from_raw(program.id().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
        let (code, lines) = read(&program.wait_with_output().unwrap());
        assert_eq!((code, lines), (130, Vec::new()));
        assert_eq!(files(&out), [""; 0]);
        until(|| converters(folder.path()) == 0);
    }
}

/// Running converters, and their decoders, that were started in `folder`.
fn converters(folder: &Path) -> usize {
    let folder = folder.canonicalize().unwrap();
    let ours = |process: &PathBuf| {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains("converter-job")
            && fs::read_link(process.join("cwd")).is_ok_and(|place| place == folder)
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(ours).count()
}

fn until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "it never came");
        thread::sleep(Duration::from_millis(10));
    }
}

const DONE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const CONVERSION: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","video":null,"name":"film.mkv",
    "preset":"v2","state":"succeeded","progress":100,"attempt":1,"created_at":"2026-11-23T06:00:00Z",
    "waiting":null,"error":null,"mp3":{"length":4,"duration_ms":61500,
    "sha256":"0000000000000000000000000000000000000000000000000000000000000000"}}"#;
const REPORT: &str = r#"{"container":"matroska,webm","codec":"opus","track":1,"tracks":[{"number":1,
    "codec":"opus","language":"eng","channels":2,"sample_rate":48000,"default":true}],"duration_ms":61500,
    "loudness":null,"peak_dbfs":-1.5,"warnings":["the file is cut off"],"options":{"preset":"v2"},
    "mp3":{"sample_rate":48000,"channels":2,"length":4},"took_ms":1200,"new":"thing",
    "finished_at":"2026-11-23T06:00:00Z","converter":"converter-job 0.1.0"}"#;
const WAVEFORM: &str = r#"{"version":2,"channels":1,"sample_rate":48000,"samples_per_pixel":512,"bits":8,"length":2,"data":[-65,63,-66,64]}"#;

/// A server that gives everybody an empty list and everything else; returns its address.
fn server(requests: usize) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answers = move || {
        let one = |_| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let at = head.len();
                assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
                let line = head[at..].to_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let (status, body) = match () {
                () if head.contains("stale") => ("401 Unauthorized", "{}"),
                () if head.starts_with("POST /login") => ("200 OK", "stored"),
                () if head.starts_with(&format!("GET /v1/conversions/{DONE}/report ")) => {
                    ("200 OK", REPORT)
                }
                () if head.starts_with(&format!("GET /v1/conversions/{DONE}/waveform ")) => {
                    ("200 OK", WAVEFORM)
                }
                () if head.starts_with(&format!("GET /v1/conversions/{DONE} ")) => {
                    ("200 OK", CONVERSION)
                }
                () => ("200 OK", r#"{"items":[],"next":null}"#),
            };
            let length = body.len();
            let head_out = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
            write!(stream.get_mut(), "{head_out}content-length: {length}\r\n\r\n{body}").unwrap();
            let bearer = head.lines().find_map(|line| line.strip_prefix("authorization: "));
            bearer.unwrap_or_default().to_owned()
        };
        (0..requests).map(one).collect()
    };
    (address, thread::spawn(answers))
}

#[test]
fn the_environment_wins_over_a_stored_login() {
    let folder = folder();
    let (address, answers) = server(4);
    let mut login = program(
        folder.path(),
        &["login", "--server", &address, "--user", "ada", "--password-stdin"],
    );
    let mut login = login.stdin(Stdio::piped()).spawn().unwrap();
    login.stdin.take().unwrap().write_all(b"hush\n").unwrap();
    assert!(login.wait().unwrap().success());
    let stored: PathBuf = folder.path().join("audio-converter/logins.json");
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    // The server of the last login is the one that is asked.
    assert_eq!(run(folder.path(), &["list"]).0, 0);
    let mut list = program(folder.path(), &["list", "--json"]);
    list.env("AUDIO_CONVERTER_TOKEN", "fresh");
    assert_eq!(read(&list.output().unwrap()), (0, vec![r#"{"items":[],"next":null}"#.to_owned()]));
    let text = fs::read_to_string(&stored).unwrap().replace("\"stored\"", "\"stale\"");
    fs::write(&stored, text).unwrap();
    let refused = program(folder.path(), &["list"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{words}");
    assert!(words.contains(&format!("`audio-converter login --server {address}`")), "{words}");
    let asked = answers.join().unwrap();
    assert_eq!(asked[1..], ["Bearer stored", "Bearer fresh", "Bearer stale"]);
    // Converting stays here, whoever is logged in.
    silence(&folder.path().join("a.wav"), 1);
    assert_eq!(run(folder.path(), &["convert", "a.wav"]).0, 0);
}

#[test]
fn a_report_and_a_waveform_are_shown_and_written() {
    let folder = folder();
    // Each call asks for the conversion first.
    let (address, answers) = server(12);
    let ask = |arguments: &[&str]| {
        let mut command = program(folder.path(), arguments);
        command.env("AUDIO_CONVERTER_TOKEN", "fresh").env("AUDIO_CONVERTER_SERVER", &address);
        read(&command.output().unwrap())
    };
    let (code, lines) = ask(&["report", DONE]);
    assert_eq!((code, lines[0].as_str()), (0, "film.mkv, 1:02 of sound"));
    assert!(
        lines.contains(&"  track      1 opus, eng, 2 channels, 48000 Hz, default".to_owned()),
        "{lines:?}"
    );
    assert!(lines.contains(&"  warning    the file is cut off".to_owned()), "{lines:?}");
    let (code, lines) = ask(&["report", DONE, "--json"]);
    let shown: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((code, lines.len(), shown), (0, 1, serde_json::from_str::<Value>(REPORT).unwrap()));
    assert_eq!(ask(&["waveform", DONE]), (0, vec![WAVEFORM.to_owned()]));
    let out = ["waveform", DONE, "-o", "film.json"];
    assert_eq!(ask(&out), (0, vec!["film.json".to_owned()]));
    assert_eq!(fs::read_to_string(folder.path().join("film.json")).unwrap().trim(), WAVEFORM);
    fs::write(folder.path().join("film.json"), "mine").unwrap();
    assert_eq!(ask(&out).0, 2, "nobody said that it may be replaced");
    assert_eq!(fs::read_to_string(folder.path().join("film.json")).unwrap(), "mine");
    assert_eq!(ask(&[&out[..], &["-y"]].concat()).0, 0);
    assert_eq!(files(folder.path()), ["film.json"]);
    answers.join().unwrap();
}

#[test]
fn the_manual_and_the_completions_know_every_command() {
    let folder = folder();
    let (code, page) = run(folder.path(), &["man"]);
    assert!(code == 0 && page.contains(&".SH \"AUDIO-CONVERTER USER PASSWD\"".to_owned()));
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = run(folder.path(), &["completions", shell]);
        assert!(code == 0 && script.iter().any(|line| line.contains("allow-truncated")), "{shell}");
    }
}
