//! `doctor` on one machine: what is well, and each fault with its fix.

use crate::{folder, program, read, until};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

const ALL: [&str; 9] = [
    "accounts.sqlite",
    "clock",
    "converter-job",
    "data folder",
    "decoder",
    "disk",
    "messages.sqlite",
    "port",
    "records.sqlite",
];

/// The exit code, and what was found, by its name.
fn found(command: &mut Command) -> (i32, BTreeMap<String, Value>) {
    let (code, lines) = read(&command.arg("--json").output().unwrap());
    let found = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (code, found.map(|it| (it["what"].as_str().unwrap().to_owned(), it)).collect())
}

fn doctor(folder: &Path, listen: &str) -> Command {
    let mut doctor = program(folder, &["doctor", "--data", "data", "--listen", listen]);
    doctor.env("GATEWAY_MIN_FREE_BYTES", "1");
    doctor
}

fn has(found: &BTreeMap<String, Value>, what: &str, state: &str, detail: &str, fix: &str) {
    let it = &found[what];
    let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
    assert!(text("state") == state && text("detail").contains(detail), "{it}");
    assert!(text("fix").contains(fix), "{it}");
}

struct Server(Child);

impl Server {
    /// Starts one, and waits until it is far enough.
    fn start(folder: &Path, listen: &str, far_enough: impl Fn() -> bool) -> Self {
        let mut serve = program(folder, &["serve", "--data", "data", "--listen", listen]);
        let server = Self(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until(far_enough);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_machine_where_all_is_well_is_told_to_be() {
    let folder = folder();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, before) = found(&mut doctor(folder.path(), &listen));
    assert!(code == 0 && before.values().all(|it| it["state"] == "ok"), "{before:#?}");
    has(&before, "data folder", "ok", "is not there yet", "");
    assert!(!folder.path().join("data").exists(), "it was made");
    let server = Server::start(folder.path(), &listen, || TcpStream::connect(&listen).is_ok());
    let (code, all) = found(&mut doctor(folder.path(), &listen));
    assert!(code == 0 && all.values().all(|it| it["state"] == "ok"), "{all:#?}");
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), ALL);
    has(&all, "data folder", "ok", &format!("process {} serves it", server.0.id()), "");
    has(&all, "port", "ok", "our server answers", "");
    has(&all, "converter-job", "ok", ", FFmpeg ", "");
    let (_, lines) = read(&doctor(folder.path(), &listen).output().unwrap());
    assert!(lines.iter().all(|line| line.starts_with("ok    ")), "{lines:?}");
}

#[test]
fn each_fault_of_a_machine_has_its_fix() {
    let folder = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("lock"), "").unwrap();
    fs::write(data.join("records.sqlite"), "no database, and long enough to be seen".repeat(99))
        .unwrap();
    let records = File::options().write(true).open(data.join("records.sqlite")).unwrap();
    records.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let call = || doctor(folder.path(), &listen);
    let (code, all) = found(call().env("GATEWAY_MIN_FREE_BYTES", u64::MAX.to_string()));
    has(&all, "records.sqlite", "fail", "not a database", "put a backup in the place of");
    has(&all, "clock", "fail", "cannot be", "`timedatectl set-ntp true`");
    has(&all, "disk", "fail", "free; below", "GATEWAY_MIN_FREE_BYTES");
    has(&all, "port", "fail", "another program has", "--listen IP:PORT");
    assert_eq!((code, all["data folder"]["state"].as_str()), (1, Some("ok")), "{all:#?}");
    fs::remove_file(data.join("lock")).unwrap();
    has(&found(&mut call()).1, "data folder", "fail", "holds other files", "--data FOLDER");
}

#[test]
fn a_folder_and_a_database_that_cannot_be_written_are_told() {
    let folder = folder();
    let data = folder.path().join("data");
    drop(Server::start(folder.path(), "127.0.0.1:0", || data.join("accounts.sqlite").exists()));
    for (file, mode) in [("records.sqlite", 0o400), ("", 0o500)] {
        fs::set_permissions(data.join(file), Permissions::from_mode(mode)).unwrap();
    }
    let (code, all) = found(&mut without_privileges(&doctor(folder.path(), "127.0.0.1:0")));
    has(&all, "data folder", "fail", "Permission denied", "`chown -R ACCOUNT data`");
    has(&all, "records.sqlite", "fail", "cannot be used", "`chown ACCOUNT data/records.sqlite*`");
    assert_eq!(code, 1, "{all:#?}");
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
}

/// The same command, for whom a file's mode holds: it does not for root.
fn without_privileges(command: &Command) -> Command {
    let mut same = Command::new("env");
    if rustix::process::geteuid().is_root() {
        same = Command::new("setpriv");
        same.args(["--inh-caps=-all", "--bounding-set=-all", "--"]);
    }
    same.arg(command.get_program()).args(command.get_args());
    same.current_dir(command.get_current_dir().unwrap());
    same.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    same
}

#[test]
fn a_converter_that_is_missing_or_another_is_told() {
    let folder = folder();
    // Alone in its folder: a converter beside it would be taken.
    let alone = folder.path().join("alone/audio-converter");
    fs::create_dir(folder.path().join("alone")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_audio-converter"), &alone).unwrap();
    let doctor = |converter: &Path| {
        let mut doctor = Command::new(&alone);
        doctor.args(["doctor", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).env_clear();
        doctor.env("GATEWAY_MIN_FREE_BYTES", "1").env("CONVERTER_JOB", converter);
        found(&mut doctor)
    };
    let (code, all) = doctor(Path::new("/no/such/program"));
    has(&all, "converter-job", "fail", "/no/such/program cannot be run", "CONVERTER_JOB");
    assert_eq!(code, 1);
    let older: PathBuf = folder.path().join("older");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && exec echo converter-job 0.0.1\n\
                  echo no filter >&2\nexit 75\n";
    fs::write(&older, script).unwrap();
    fs::set_permissions(&older, Permissions::from_mode(0o755)).unwrap();
    let (code, all) = doctor(&older);
    has(&all, "converter-job", "warn", "converter-job 0.0.1", "install the one of audio-converter");
    has(&all, "decoder", "fail", "no filter", "docs/operating.md");
    assert_eq!(code, 1);
}
