//! Files that do not convert: each ends with its reason, and leaves nothing.

use crate::{
    material::{Folder, wav},
    program::{Ended, end, local, program, until},
};
use std::{
    fs::{File, OpenOptions},
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) fn refused(folder: &Folder, video: &Path, reason: &str) {
    let before = folder.names();
    let ended = local(video, &folder.path("out.mp3"), &[]);
    is_refusal(&ended, reason);
    assert_eq!(folder.names(), before, "{}", video.display());
}

fn is_refusal(ended: &Ended, reason: &str) {
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.line().starts_with(&format!("converter-job: failed: {reason}: ")), "{ended:?}");
}

#[test]
fn files_that_are_no_media_say_so() {
    let folder = Folder::new();
    refused(&folder, &folder.file("empty.mp4", b""), "empty_file");
    refused(&folder, &folder.file("text.mp4", b"plain text, renamed"), "not_media");
    refused(&folder, &folder.file("more.mp4", &b"plain text, renamed\n".repeat(9999)), "not_media");
    refused(&folder, &folder.file("zeros.mp4", &[0; 100_000]), "not_media");
    refused(&folder, &folder.file("header.wav", &wav(48_000, 2, 0)), "not_media");
}

#[test]
fn a_video_without_sound_says_so() {
    let folder = Folder::new();
    refused(&folder, &folder.video("silent.mp4", 1, "-c:v mpeg4 -an"), "no_audio_track");
    refused(&folder, &folder.video("silent.mkv", 1, "-c:v mpeg4 -an"), "no_audio_track");
}

#[test]
fn encrypted_sound_says_so() {
    let folder = Folder::new();
    let scheme = "-c:v mpeg4 -c:a aac -encryption_scheme cenc-aes-ctr \
        -encryption_key 000102030405060708090a0b0c0d0e0f -encryption_kid 0f0e0d0c0b0a09080706050403020100";
    refused(&folder, &folder.video("locked.mp4", 2, scheme), "encrypted");
}

#[test]
fn sound_outside_the_limits_says_so() {
    let folder = Folder::new();
    for (name, rate, channels) in [
        ("slow.wav", 1, 1),
        ("fast.wav", 1_000_000_000, 1),
        ("wide.wav", 48_000, 255),
        ("wider.wav", 48_000, 8000),
    ] {
        refused(&folder, &folder.file(name, &wav(rate, channels, 100_000)), "over_limits");
    }
    let tracks = format!("-an -map 0 {}", "-map 0:a ".repeat(40));
    let many = folder.video("many.mkv", 1, &format!("{} -c:a flac", tracks.replace("-an ", "")));
    refused(&folder, &many, "over_limits");
}

#[test]
fn sound_longer_than_twelve_hours_is_refused_at_once() {
    let folder = Folder::new();
    // Thirteen hours at 8 kHz: the header says so, and the file is a hole.
    let bytes = 13 * 3600 * 16_000;
    let video = folder.file("long.wav", &wav(8_000, 1, 0));
    let mut header = std::fs::read(&video).unwrap();
    header[40..44].copy_from_slice(&u32::to_le_bytes(bytes));
    std::fs::write(&video, header).unwrap();
    OpenOptions::new().write(true).open(&video).unwrap().set_len(u64::from(bytes) + 44).unwrap();
    refused(&folder, &video, "over_limits");
}

#[test]
fn pictures_are_an_unsupported_format() {
    let folder = Folder::new();
    let picture = folder.path("picture.mp4");
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=d=1",
        "-frames:v",
        "1",
        "-f",
        "image2",
    ]);
    assert!(command.args(["-c:v", "png"]).arg(&picture).status().unwrap().success());
    refused(&folder, &picture, "unsupported_format");
}

/// A file that nothing can open to read without waiting for us.
fn trap(folder: &Folder) -> std::path::PathBuf {
    let trap = folder.path("victim.aac");
    assert!(Command::new("mkfifo").arg(&trap).status().unwrap().success());
    trap
}

/// Whether somebody has opened the trap. `O_NONBLOCK` makes our own opening fail while nobody has.
fn sprung(trap: &Path) -> bool {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(nonblocking).open(trap).is_ok()
}

#[test]
fn a_playlist_never_opens_what_it_names() {
    let folder = Folder::new();
    let trap = trap(&folder);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let web = format!("http://{}/victim.aac", server.local_addr().unwrap());
    let file = format!("file://{}", trap.display());
    for (target, named) in [("file", &*file), ("web", &web), ("sibling", "victim.aac")] {
        for (kind, text) in playlists(named) {
            let playlist = folder.file(&format!("{kind}-{target}.mp4"), text.as_bytes());
            // Whoever opened the trap would wait in it for ever, so each end shows that nobody did.
            refused(&folder, &playlist, "unsupported_format");
        }
    }
    assert!(server.accept().is_err(), "somebody has called");
    // The trap does catch: the `ffmpeg` command walks into it.
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "quiet", "-nostdin", "-i"]).arg(folder.path("hls-file.mp4"));
    let mut ffmpeg = ffmpeg.args(["-f", "null", "-"]).stdout(Stdio::null()).spawn().unwrap();
    until("ffmpeg opens the file", || sprung(&trap).then_some(()));
    ffmpeg.kill().unwrap();
    ffmpeg.wait().unwrap();
}

/// One playlist of each kind.
fn playlists(named: &str) -> [(&'static str, String); 4] {
    let hls = format!("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{named}\n#EXT-X-ENDLIST\n");
    let concat = format!("ffconcat version 1.0\nfile '{named}'\n");
    let dash = format!(
        "<?xml version=\"1.0\"?>\n<MPD profiles=\"dash:profile\"><BaseURL>{named}</BaseURL></MPD>"
    );
    let session = format!(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nu={named}\nc=IN IP4 127.0.0.1\n\
        m=audio 5004 RTP/AVP 0\na=control:{named}\n"
    );
    [("hls", hls), ("concat", concat), ("dash", dash), ("session", session)]
}

#[test]
fn large_files_of_nothing_are_told_at_once() {
    let folder = Folder::new();
    let zeros = folder.file("zeros.mp4", b"");
    File::options().write(true).open(&zeros).unwrap().set_len(2 << 30).unwrap();
    let mut seed = 7_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed.rotate_right(29).to_le_bytes()
    };
    let noise: Vec<u8> = (0..50 << 17).flat_map(|_| noise()).collect();
    for (video, reason) in [(zeros, "not_media"), (folder.file("noise.mp4", &noise), "not_media")] {
        let began = Instant::now();
        refused(&folder, &video, reason);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[test]
fn an_attempt_without_its_settings_tells_all_that_is_missing() {
    let ended = end(program().arg("attempt").env_clear().spawn().unwrap());
    assert_eq!(ended.code, Some(64), "{ended:?}");
    for name in ["STORAGE_URL", "CONVERSION_ID", "ATTEMPT"] {
        assert!(ended.log.contains(name), "{ended:?}");
    }
}
