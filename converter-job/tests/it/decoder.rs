//! The decoder by itself: what it can reach, and how it ends when it is starved.

use crate::{
    material::{Folder, ffmpeg, wav},
    program::{decoder_of, end, kill, local_at_work, pid_of, program, until},
};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    num::NonZero,
    process::{Child, Stdio},
    thread::available_parallelism,
};

/// One frame of the protocol.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(payload);
    frame
}

fn decoder(length: usize, memory_bytes: u64) -> Child {
    decoder_with("", length, memory_bytes)
}

/// A decoder with more options, each with a comma behind it.
fn decoder_with(options: &str, length: usize, memory_bytes: u64) -> Child {
    let mut child = program().arg("decode").env_clear().stdin(Stdio::piped()).spawn().unwrap();
    let job = format!(
        "{{{options}\"preset\":\"v2\",\"length\":{length},\"run_limit_seconds\":60,\
        \"memory_bytes\":{memory_bytes},\"threads\":1,\"serial\":false,\"allow_truncated\":false}}"
    );
    child.stdin.as_mut().unwrap().write_all(&frame(b'J', job.as_bytes())).unwrap();
    child
}

/// Answers reads until the decoder is silent; the kinds of what else it said.
fn serve(child: &mut Child, video: &[u8]) -> String {
    said(child, video).into_iter().map(|(kind, _)| kind).collect()
}

/// Answers reads until the decoder is silent; the kinds and the first bytes of what else it said.
fn said(child: &mut Child, video: &[u8]) -> Vec<(char, u8)> {
    let (mut answers, mut requests) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut header, mut said) = ([0; 5], Vec::new());
    while requests.read_exact(&mut header).is_ok() {
        let length = u32::from_le_bytes(header[1..].try_into().unwrap());
        let mut payload = vec![0; length as usize];
        if requests.read_exact(&mut payload).is_err() {
            break;
        }
        if header[0] != b'r' {
            said.push((char::from(header[0]), payload.first().copied().unwrap_or(0)));
            continue;
        }
        let at = usize::try_from(u64::from_le_bytes(payload[..8].try_into().unwrap())).unwrap();
        let wanted = u32::from_le_bytes(payload[8..].try_into().unwrap()) as usize;
        let end = (at + wanted).min(video.len());
        if answers.write_all(&frame(b'D', &video[at.min(end)..end])).is_err() {
            break;
        }
    }
    said
}

#[test]
fn the_mp3_comes_in_order_and_its_header_last() {
    let video = fs::read(Folder::new().video("film.wav", 10, "-vn")).unwrap();
    let mut child = decoder(video.len(), 768 << 20);
    let kinds = serve(&mut child, &video).replace('%', "");
    assert_eq!(end(child).code, Some(0));
    assert!(kinds.starts_with("ia") && kinds.ends_with("wd") && kinds.contains('p'), "{kinds}");
}

#[test]
fn progress_over_two_walks_rises_once() {
    let folder = Folder::new();
    for (name, codec) in [
        ("long.flac", "-c:a flac"),
        // Of these only the bytes can be counted.
        ("live.mkv", "-c:a flac -live 1"),
        ("raw.aac", "-c:a aac -b:a 256k"),
    ] {
        let path = folder.path(name);
        ffmpeg(&["-f", "lavfi", "-i", "anoisesrc=r=48000:d=60:a=0.3"], codec, &path);
        let video = fs::read(&path).unwrap();
        let mut child = decoder_with("\"loudness\":-16,", video.len(), 768 << 20);
        let said = said(&mut child, &video);
        assert_eq!(end(child).code, Some(0), "{name}");
        let told: Vec<_> =
            said.iter().filter(|(kind, _)| *kind == '%').map(|said| said.1).collect();
        assert!(told.is_sorted(), "{name}: {told:?}");
        for half in [5..45, 55..95] {
            assert!(told.iter().any(|percent| half.contains(percent)), "{name}: {told:?}");
        }
    }
}

#[test]
fn a_decoder_without_memory_says_that_it_is_out_of_it() {
    let video = wav(48_000, 2, 48_000 * 4 * 10);
    let mut child = decoder(video.len(), 16 << 20);
    let kinds = serve(&mut child, &video);
    let ended = end(child);
    let aborted = ended.code.is_none() && ended.log.contains("memory allocation of");
    assert!(ended.code == Some(76) || aborted, "{kinds}: {ended:?}");
}

#[test]
fn a_decoder_whose_attempt_is_gone_ends() {
    let mut child = decoder(1 << 20, 768 << 20);
    drop(child.stdin.take());
    assert_eq!(end(child).code, Some(75));
}

#[test]
fn a_decoder_that_is_told_nonsense_ends() {
    for nonsense in [&b"GET / HTTP/1.1\r\n"[..], &frame(b'J', b"{}"), &frame(b'D', b"x"), b"J"] {
        let mut child = program().arg("decode").env_clear().stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(nonsense).unwrap();
        assert_eq!(end(child).code, Some(75));
    }
}

/// The system-call filters that a thread is under.
fn filters(status: &str) -> u32 {
    let field = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
    field.unwrap().trim().parse().unwrap()
}

#[test]
fn a_decoder_at_work_reaches_its_pipes_and_nothing_else() {
    let folder = Folder::new();
    let child = local_at_work(&folder.long_sound("long.flac", 20), &folder.path("long.mp3"));
    let decoder = decoder_of(&child);
    let process = format!("/proc/{}", decoder.as_raw_nonzero());
    for entry in fs::read_dir(format!("{process}/fd")).unwrap() {
        let open = fs::read_link(entry.unwrap().path()).unwrap();
        let open = open.to_str().unwrap();
        let own_status = open.starts_with("/proc/") && open.ends_with("/status");
        assert!(open.starts_with("pipe:") || own_status, "{open}");
    }
    assert_eq!(fs::read(format!("{process}/environ")).unwrap(), b"");
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let threads = available_parallelism().map_or(1, NonZero::get) as u64;
    let memory = (768 + 192 * (threads.min(64) - 1)) << 20;
    for limit in [
        "Max file size             0 ".to_owned(),
        "Max core file size        1 ".to_owned(),
        format!("Max address space         {memory} "),
    ] {
        assert!(limits.contains(&limit), "{limits}");
    }
    let tasks = fs::read_dir(format!("{process}/task")).unwrap();
    let tasks: Vec<_> = tasks.map(|task| task.unwrap().path().join("status")).collect();
    assert_eq!(tasks.len() as u64, if threads > 1 { 1 + threads.min(64) } else { 1 });
    // A container may bring a filter of its own.
    let inherited = filters(&fs::read_to_string("/proc/self/status").unwrap());
    for task in tasks {
        let status = fs::read_to_string(task).unwrap();
        assert!(
            status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"),
            "{status}"
        );
        assert_eq!(filters(&status), inherited + 2, "{status}");
    }
    kill(pid_of(&child), Signal::KILL);
    end(child);
    until("the decoder follows its attempt", || (!crate::program::is_alive(decoder)).then_some(()));
}
