//! How loud an MP3 is from moment to moment, for a picture of it.

use serde::{Deserialize, Serialize};

/// A waveform in the JSON of the `audiowaveform` tool, version 2, which players and editors read:
/// `{"version":2,"channels":1,"sample_rate":48000,"samples_per_pixel":512,"bits":8,"length":2,
/// "data":[-65,63,-66,64]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    version: u8,
    channels: u8,
    /// Samples a second.
    sample_rate: u32,
    samples_per_pixel: u32,
    bits: u8,
    /// Pixels, of which the last may stand for fewer samples.
    length: u32,
    /// The lowest and the highest sample of each pixel, -128 to 127.
    data: Vec<i8>,
}

impl Waveform {
    /// The most pixels that one of ours has: 80 kB of JSON at most, whatever the sound's length.
    pub const MOST_PIXELS: usize = 8192;

    /// A waveform of one channel, from pairs of a lowest and a highest sample.
    pub fn new(sample_rate: u32, samples_per_pixel: u32, data: Vec<i8>) -> Self {
        let length = u32::try_from(data.len() / 2).unwrap_or(u32::MAX);
        Self { version: 2, channels: 1, sample_rate, samples_per_pixel, bits: 8, length, data }
    }

    /// Samples a second.
    pub const fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// How many samples one pixel stands for.
    pub const fn samples_per_pixel(&self) -> u32 {
        self.samples_per_pixel
    }

    /// The lowest and the highest sample of each pixel.
    pub fn data(&self) -> &[i8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_audiowaveform_writes() {
        let waveform = Waveform::new(44_100, 512, vec![-128, 127, 0, 3]);
        let text = r#"{"version":2,"channels":1,"sample_rate":44100,"samples_per_pixel":512,"bits":8,"length":2,"data":[-128,127,0,3]}"#;
        assert_eq!(serde_json::to_string(&waveform).unwrap(), text);
        assert_eq!(serde_json::from_str::<Waveform>(text).unwrap(), waveform);
    }
}
