//! A short clip for those who have no video at hand: a rising chord as a WAV file. It is written
//! here, so that trying the system needs no other program.

use std::{
    f32::consts::TAU,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

const RATE: u32 = 44_100;
const SECONDS: u32 = 5;
/// A major chord, one note joining each second.
const NOTES: [f32; 4] = [220.0, 277.18, 329.63, 440.0];

/// Writes the clip: mono, 16 bit.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let samples = RATE * SECONDS;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header(samples * 2))?;
    for n in 0..samples {
        file.write_all(&sample(n).to_le_bytes())?;
    }
    file.into_inner()?.sync_all()
}

/// The 44 bytes before `length` bytes of samples.
fn header(length: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(44);
    header.extend(b"RIFF");
    header.extend((36 + length).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    header.extend([1, 0, 1, 0]);
    header.extend(RATE.to_le_bytes());
    header.extend((RATE * 2).to_le_bytes());
    // Two bytes a frame, 16 bits a sample.
    header.extend([2, 0, 16, 0]);
    header.extend(b"data");
    header.extend(length.to_le_bytes());
    header
}

fn sample(n: u32) -> i16 {
    let time = n as f32 / RATE as f32;
    let notes = NOTES.iter().zip(0_u8..).filter(|(_, start)| time >= f32::from(*start));
    let sum: f32 = notes.map(|(pitch, _)| (TAU * pitch * time).sin()).sum();
    // Four notes at once stay below full scale.
    (sum * f32::from(i16::MAX) / 5.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_matches_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.wav");
        write(&path).unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len(), 44 + (RATE * SECONDS * 2) as usize);
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((number(4) + 8, number(40) + 44), (bytes.len(), bytes.len()));
    }
}
