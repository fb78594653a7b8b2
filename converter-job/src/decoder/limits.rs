//! What a file may be: the formats and codecs that are read, and how large sound may get.

use super::Stop;
use domain::Reason;
use std::{ops::RangeInclusive, sync::LazyLock};

/// What of FFmpeg the converter uses; its own FFmpeg is built from the same list.
const COMPONENTS: &str = include_str!("../../ffmpeg/components");

/// The containers that are read, by libavformat's names, with commas between. Playlists, which name
/// other files, and image formats are not among them.
pub(super) static FORMATS: LazyLock<String> = LazyLock::new(|| names_of("demuxer"));

/// The decoders that may run, by libavcodec's names: sound only, so that looking at a file never
/// starts a video decoder.
pub(super) static CODECS: LazyLock<String> = LazyLock::new(|| names_of("decoder"));

/// The names of all components of a kind.
fn names_of(kind: &str) -> String {
    let lines = COMPONENTS.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|first| *first == kind).and_then(|_| words.next_back());
        name.map(|name| name.trim_matches(['[', ']']))
    });
    names.collect::<Vec<_>>().join(",")
}

/// Streams in one file.
pub(super) const STREAMS: &str = "32";
/// Bytes read to find out what is in a file.
pub(super) const PROBE_BYTES: &str = "5242880";
/// Microseconds of it read for the same.
pub(super) const PROBE_MICROSECONDS: &str = "5000000";
/// The largest single allocation. An index of twelve hours at 120 pictures a second takes 124 MB; what
/// asks for more has been made to.
pub(super) const LARGEST_BLOCK: usize = 128 << 20;
/// Milliseconds of sound in one file.
pub(super) const LONGEST_MS: u64 = 12 * 3600 * 1000;

/// Formats whose head counts the samples of their one track exactly, by libavformat's names.
pub(super) const COUNTED: [&str; 3] = ["flac", "aiff", "au"];
/// Nanoseconds by which sound may end before its count; honest files were found to miss none.
pub(super) const SHORTFALL: i64 = 5_000_000;

const RATES: RangeInclusive<u32> = 8_000..=192_000;
const CHANNELS: RangeInclusive<u32> = 1..=8;

/// Refuses sound whose shape is known and outside the limits. Zero is not known yet.
pub(super) fn check_shape(rate: i32, channels: i32) -> Result<(), Stop> {
    let outside = |value: i32, range: &RangeInclusive<u32>| {
        value != 0 && !u32::try_from(value).is_ok_and(|value| range.contains(&value))
    };
    if outside(rate, &RATES) {
        return Err(Stop::failed(Reason::OverLimits, format!("a sample rate of {rate} Hz")));
    }
    if outside(channels, &CHANNELS) {
        return Err(Stop::failed(Reason::OverLimits, format!("{channels} channels")));
    }
    Ok(())
}

/// Refuses sound that is too long.
pub(super) fn check_duration(ms: u64) -> Result<(), Stop> {
    if ms > LONGEST_MS {
        return Err(Stop::failed(Reason::OverLimits, format!("{} s of sound", ms / 1000)));
    }
    Ok(())
}

/// Whether one of a format's names (`mov,mp4,m4a`) is on the list.
pub(super) fn is_allowed(names: &str) -> bool {
    names.split(',').any(|name| FORMATS.split(',').any(|allowed| allowed == name))
}

#[cfg(test)]
mod tests {
    use super::{super::libav, *};

    #[test]
    fn every_component_is_there_by_its_name() {
        for name in CODECS.split(',') {
            assert!(ffmpeg_next::decoder::find_by_name(name).is_some(), "decoder {name}");
        }
        for name in FORMATS.split(',') {
            assert!(libav::has_format(name), "demuxer {name}");
        }
    }

    #[test]
    fn playlists_and_pictures_are_no_formats_of_ours() {
        for refused in ["hls", "concat", "dash", "sdp", "image2", "png_pipe", "tty", "rtsp", ""] {
            assert!(!is_allowed(refused), "{refused}");
        }
        assert!(is_allowed("mov,mp4,m4a,3gp,3g2,mj2") && is_allowed("matroska,webm"));
    }

    #[test]
    fn the_edges_of_the_limits_are_inside() {
        for (rate, channels) in [(8_000, 1), (192_000, 8), (0, 0)] {
            assert_eq!(check_shape(rate, channels), Ok(()));
        }
        for (rate, channels) in [(7_999, 1), (192_001, 2), (-1, 2), (48_000, 9), (48_000, -1)] {
            assert!(check_shape(rate, channels).is_err(), "{rate} Hz, {channels} channels");
        }
    }
}
