//! Decoders that have been taken over: whatever they try, their pipes are all they have.
//!
//! Each deed is done by a child of its own, this very program once more, behind the real doors.

#![expect(unsafe_code, reason = "what a decoder that has been taken over does is no safe Rust")]

mod calls;

use super::*;
use crate::decoder::{
    lame::Tuning,
    resample::{Shape, empty},
    segments::Segments,
    workers::{Form, Workers},
};
use calls::{outside, powers, refused};
use domain::Options;
use ffmpeg_next::{
    ChannelLayout,
    format::{Sample, sample::Type::Planar},
};
use rustix::process::{getppid, test_kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};
use std::{
    alloc::{Layout, handle_alloc_error},
    env::{self, consts::ARCH},
    hint::black_box,
    io::Write,
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Output, abort},
    ptr,
};

/// Names the deed that the child is to do.
const DEED: &str = "DEED";

/// Work where the kernel, or a container, has one thing less.
const WITHOUT_LANDLOCK: &str = "work without Landlock";
const WITHOUT_FILTERS: &str = "work without filters";

fn job() -> Job {
    Job {
        options: Options::default(),
        length: 0,
        run_limit_seconds: 60,
        memory_bytes: 1 << 30,
        threads: 2,
        serial: false,
    }
}

/// Deeds that are no single call.
fn other(deed: &str, workers: Workers, denied: &[&str]) {
    match deed {
        "its own work" | WITHOUT_LANDLOCK => work(workers),
        "the fence's work" => tell(&format!("denied: {}", denied.join(" "))),
        "no memory" => handle_alloc_error(Layout::new::<[u8; 9]>()),
        "abort" => abort(),
        // SAFETY: it is not; that is the deed.
        "fault" => unsafe { ptr::without_provenance_mut::<u8>(8).write_volatile(0) },
        other => panic!("no such deed: {other}"),
    }
}

/// Takes 100 MB of memory, has two threads encode, and tells the frames.
fn work(workers: Workers) {
    let memory = black_box(vec![1_u8; 100 << 20]);
    let tuning = Tuning::of(&Options::default(), false);
    let (format, layout, rate) = (Sample::F32(Planar), ChannelLayout::MONO, 48_000);
    let shape = Shape { format, layout, rate };
    let mut segments = Segments::new(workers, Form::of(tuning, shape)).unwrap();
    let mut frames = 0;
    let mut count = |_| {
        frames += 1;
        Ok(())
    };
    for _ in 0..4000 {
        let mut frame = empty(shape, 1152).unwrap();
        frame.data_mut(0).fill(0);
        segments.push(frame, &mut count).unwrap();
    }
    segments.finish(&mut count).unwrap();
    drop(memory);
    tell(&format!("{frames} frames"));
}

fn tell(what: &str) {
    io::stdout().write_all(what.as_bytes()).unwrap();
    io::stdout().flush().unwrap();
}

/// Answers a system call with an error, as kernels and containers do that do not have it.
fn take_away(call: i64) {
    let missing = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let (rules, arch) = ([(call, Vec::new())].into(), ARCH.try_into().unwrap());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    apply_filter_all_threads(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// What is denied to whoever starts the threads, behind the fence and before the filter.
fn denied() -> Vec<&'static str> {
    let file = File::open("/etc/passwd").map(drop);
    let port = TcpListener::bind("127.0.0.1:0").map(drop);
    let signal = getppid().map_or(Ok(()), test_kill_process).map_err(io::Error::from);
    let is_denied = |tried: &io::Result<()>| {
        tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let tried = [("file", file), ("port", port), ("signal", signal)];
    tried.into_iter().filter(|(_, tried)| is_denied(tried)).map(|(what, _)| what).collect()
}

/// The child: closes the doors, does one deed, and tells its errno.
fn commit(deed: &str) -> ! {
    let calls = [refused(), outside(), powers()].concat();
    let call = calls.into_iter().find(|(name, ..)| *name == deed);
    match deed {
        WITHOUT_LANDLOCK => take_away(libc::SYS_landlock_create_ruleset),
        WITHOUT_FILTERS => take_away(libc::SYS_seccomp),
        _ => {}
    }
    let mut fenced = Vec::new();
    let confined = confine(&job(), || {
        fenced = denied();
        Workers::start(&job())
    });
    let Ok(workers) = confined else {
        panic!("the doors stay open: {:?}", confined.err());
    };
    let Some((_, number, [a, b, c, d, e, f])) = call else {
        other(deed, workers, &fenced);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) }
    };
    // SAFETY: whatever it changes is not used: the process ends.
    let done = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    let errno = if done < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
    // SAFETY: it ends the process.
    unsafe { libc::_exit(errno) }
}

/// How a child ended that did the deed in an own folder, which it left as it was.
fn deed(deed: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("victim"), "victim").unwrap();
    let me = "decoder::confine::tests::a_decoder_that_has_been_taken_over_gets_nowhere";
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", me, "--nocapture"]).current_dir(folder.path());
    let output = child.env_clear().env(DEED, deed).output().unwrap();
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["victim"], "{deed}");
    output
}

#[test]
fn a_decoder_that_has_been_taken_over_gets_nowhere() {
    if let Ok(deed) = env::var(DEED) {
        commit(&deed);
    }
    for (name, ..) in refused() {
        let ended = deed(name);
        assert_eq!(ended.status.code(), Some(libc::EPERM), "{name}: {ended:?}");
    }
    for (name, ..) in outside().into_iter().chain(powers()) {
        let ended = deed(name);
        assert_eq!(ended.status.signal(), Some(libc::SIGSYS), "{name}: {ended:?}");
    }
}

#[test]
fn a_decoder_behind_its_doors_works_and_ends_in_every_way() {
    let worked = deed("its own work");
    assert!(worked.status.success() && worked.stdout.ends_with(b"4001 frames"), "{worked:?}");
    let starved = deed("no memory");
    assert_eq!(starved.status.signal(), Some(libc::SIGABRT), "{starved:?}");
    assert!(String::from_utf8_lossy(&starved.stderr).contains("memory allocation of 9 bytes"));
    for (name, signal) in [("abort", libc::SIGABRT), ("fault", libc::SIGSEGV)] {
        let ended = deed(name);
        assert_eq!(ended.status.signal(), Some(signal), "{name}: {ended:?}");
    }
}

#[test]
fn without_landlock_a_decoder_works_and_without_filters_it_does_not_start() {
    let worked = deed(WITHOUT_LANDLOCK);
    assert!(worked.status.success() && worked.stdout.ends_with(b"4001 frames"), "{worked:?}");
    let refused = deed(WITHOUT_FILTERS);
    assert_eq!(refused.status.code(), Some(101), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("its system calls cannot be filtered: "), "{words}");
}

#[test]
fn the_fence_by_itself_denies_what_the_kernel_lets_it_deny() {
    // SAFETY: asks the kernel for the version, past the crate.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    let known = [(1, "file"), (4, "port"), (6, "signal")];
    let known = known.into_iter().filter(|(since, _)| version >= *since).map(|(_, what)| what);
    let ended = deed("the fence's work");
    let told = String::from_utf8_lossy(&ended.stdout);
    let denied = told.rsplit_once("denied: ").map(|(_, denied)| denied.trim());
    assert_eq!(denied, Some(known.collect::<Vec<_>>().join(" ").as_str()), "{ended:?}");
}
