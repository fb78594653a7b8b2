//! Videos to convert, made by the `ffmpeg` command where and when a test needs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Both channels carry sweeps and noise, so that a mistake in any of them shows.
pub(crate) const MUSIC: &str = "aevalsrc='0.4*sin(2*PI*(220+40*sin(t))*t)+0.2*sin(2*PI*1330*t)*sin(3*t)\
    |0.3*sin(2*PI*330*t)+0.1*random(0)'";

/// A folder that is gone after the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Makes a file of so many seconds of stereo sound at 48 kHz, with pictures.
    pub(crate) fn video(&self, name: &str, seconds: u32, arguments: &str) -> PathBuf {
        let (music, pictures) =
            (format!("{MUSIC}:s=48000:d={seconds}"), format!("testsrc=s=160x120:r=25:d={seconds}"));
        let path = self.path(name);
        ffmpeg(&["-f", "lavfi", "-i", &music, "-f", "lavfi", "-i", &pictures], arguments, &path);
        path
    }

    /// Makes a file of sound alone that takes long to convert and little room.
    pub(crate) fn long_sound(&self, name: &str, minutes: u32) -> PathBuf {
        let (path, tone) = (self.path(name), format!("sine=f=440:r=48000:d={}", minutes * 60));
        ffmpeg(&["-f", "lavfi", "-i", &tone], "-ac 2 -c:a flac", &path);
        path
    }

    /// What the `ffmpeg` command makes of `video`.
    pub(crate) fn reference(&self, video: &Path, arguments: &str) -> PathBuf {
        let path = self.path("reference.mp3");
        ffmpeg(
            &["-i", video.to_str().unwrap()],
            &format!("-vn -c:a libmp3lame {arguments}"),
            &path,
        );
        path
    }

    /// The names of everything in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

/// The names of everything in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs the `ffmpeg` command.
pub(crate) fn ffmpeg(inputs: &[&str], arguments: &str, output: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(inputs).args(arguments.split_whitespace());
    assert!(command.arg(output).status().unwrap().success(), "{command:?}");
}

/// The samples of a sound file, as raw bytes.
pub(crate) fn samples(path: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(path).args(["-f", "s16le", "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

/// A WAV file of 16-bit silence whose header says what it likes.
pub(crate) fn wav(rate: u32, channels: u16, bytes: u32) -> Vec<u8> {
    let width = channels.wrapping_mul(2);
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    wav.extend(channels.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend(rate.wrapping_mul(width.into()).to_le_bytes());
    wav.extend(width.to_le_bytes());
    wav.extend(b"\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, 0);
    wav
}
