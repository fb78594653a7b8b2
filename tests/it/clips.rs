//! Short videos, each with a tone of its own, so that an MP3 tells which video it came from.

use crate::{Result, process::output_of};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A video on disk.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    /// The file.
    pub(crate) path: PathBuf,
    /// Of its tone, in Hz.
    pub(crate) frequency: u32,
    /// Of its sound.
    pub(crate) seconds: f64,
}

/// Makes an MP4 of moving bars with a tone. A long one has its sound as MP2, which takes a fifth of the
/// time to make.
pub(crate) fn clip(folder: &Path, frequency: u32, seconds: f64) -> Result<Clip> {
    let path = folder.join(format!("tone {frequency}.mp4"));
    let picture = format!("testsrc=size=64x48:rate=5:duration={seconds}");
    let tone = format!("sine=frequency={frequency}:sample_rate=44100:duration={seconds}");
    let codec = if seconds > 100.0 { "mp2" } else { "aac" };
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            &picture,
            "-f",
            "lavfi",
            "-i",
            &tone,
            "-c:v",
            "mpeg4",
            "-c:a",
            codec,
            "-b:a",
            "64k",
            "-shortest",
        ],
        &path,
    )?;
    Ok(Clip { path, frequency, seconds })
}

/// The same video with a cover of 14 MB, which nobody can read without holding it.
pub(crate) fn with_large_cover(clip: &Clip) -> Result<Clip> {
    let path = clip.path.with_extension("cover.mp4");
    let noise = "nullsrc=s=3000x3000:d=1:r=1,format=rgb24,\
        geq=r='random(1)*255':g='random(2)*255':b='random(3)*255'";
    let video = clip.path.display().to_string();
    let arguments = "-map 0 -map 1 -c copy -c:v:1 png -frames:v:1 1 -disposition:v:1 attached_pic";
    let inputs = ["-i", &video, "-f", "lavfi", "-i", noise];
    let all: Vec<_> = inputs.into_iter().chain(arguments.split(' ')).collect();
    ffmpeg(&all, &path)?;
    Ok(Clip { path, ..clip.clone() })
}

/// Makes an MP4 without sound.
pub(crate) fn silent_film(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("silent.mp4");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1", "-c:v", "mpeg4"], &path)?;
    Ok(path)
}

fn ffmpeg(arguments: &[&str], output: &Path) -> Result {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments).arg(output);
    output_of(&mut command, None).map(drop)
}

/// Fails unless these bytes are an MP3 of the clip's length with the clip's tone and no other.
pub(crate) fn check(mp3: &[u8], clip: &Clip, folder: &Path) -> Result {
    const RATE: f64 = 8000.0;
    let stem = folder.join(format!("check-{}-{:x}", clip.frequency, mp3.as_ptr() as usize));
    let (file, raw) = (stem.with_extension("mp3"), stem.with_extension("raw"));
    std::fs::write(&file, mp3)?;
    let input = file.display().to_string();
    ffmpeg(&["-i", &input, "-ac", "1", "-ar", "8000", "-f", "s16le"], &raw)?;
    let samples: Vec<f64> = std::fs::read(&raw)?
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    let seconds = samples.len() as f64 / RATE;
    // AAC pads by a frame, and MP3 by one.
    anyhow::ensure!(
        (seconds - clip.seconds).abs() < 0.12,
        "{seconds} s instead of {}",
        clip.seconds
    );
    let total: f64 = samples.iter().map(|sample| sample * sample).sum();
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * f64::from(clip.frequency) * n as f64 / RATE;
        sine += sample * angle.sin();
        cosine += sample * angle.cos();
    }
    let share = 2.0 * (sine * sine + cosine * cosine) / (samples.len() as f64 * total);
    anyhow::ensure!(
        share > 0.8,
        "only {:.0} % of the sound is at {} Hz",
        share * 100.0,
        clip.frequency
    );
    [file, raw].iter().try_for_each(std::fs::remove_file)?;
    Ok(())
}
