//! Which of a file's tracks is the sound to convert.

use super::{Stop, libav::Track, limits};
use domain::Reason;
use ffmpeg_next::media;

/// Codec tags of protected sound: common encryption, and two shops' own.
const PROTECTED: [&[u8; 4]; 4] = [b"enca", b"drms", b"aavd", b"aax "];
/// Refuses sound whose shape is outside the limits, in any track.
pub(super) fn check_shapes(tracks: &[Track]) -> Result<(), Stop> {
    let mut sound = tracks.iter().filter(|track| track.medium == media::Type::Audio);
    sound.try_for_each(|track| limits::check_shape(track.rate, track.channels))
}

/// The audio track of which something was met, then the default one, then the one with most
/// channels, then the first: the order of the `ffmpeg` command.
pub(super) fn choose(tracks: &[Track]) -> Result<Track, Stop> {
    let sound = tracks.iter().filter(|track| track.medium == media::Type::Audio);
    let rank = |track: &Track| (track.heard, track.default, track.channels);
    let best = sound.reduce(|best, track| if rank(track) > rank(best) { track } else { best });
    match best {
        Some(track) if PROTECTED.contains(&&track.tag) => {
            Err(Stop::failed(Reason::Encrypted, "its sound is marked as encrypted"))
        }
        Some(track) => Ok(*track),
        None if tracks.is_empty() => Err(Stop::failed(Reason::NotMedia, "it has no streams")),
        None => Err(Stop::failed(Reason::NoAudioTrack, format!("{} streams", tracks.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(index: usize, medium: media::Type, channels: i32) -> Track {
        Track { index, medium, tag: *b"mp4a", channels, rate: 48_000, default: false, heard: true }
    }

    #[test]
    fn the_track_is_the_one_that_ffmpeg_takes() {
        let picture = track(0, media::Type::Video, 0);
        let (stereo, surround) = (track(1, media::Type::Audio, 2), track(2, media::Type::Audio, 6));
        let chosen = |tracks: &[Track]| choose(tracks).unwrap().index;
        assert_eq!(chosen(&[picture, stereo, surround]), 2);
        assert_eq!(chosen(&[picture, Track { default: true, ..stereo }, surround]), 1);
        assert_eq!(chosen(&[picture, stereo, Track { heard: false, ..surround }]), 1);
        assert_eq!(chosen(&[picture, stereo, Track { index: 3, ..stereo }]), 1);
    }

    #[test]
    fn a_file_without_sound_says_which_kind_it_is() {
        let reason = |tracks: &[Track]| match choose(tracks) {
            Err(Stop::Failed(reason, _)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&[]), Reason::NotMedia);
        assert_eq!(reason(&[track(0, media::Type::Video, 0)]), Reason::NoAudioTrack);
        let protected = Track { tag: *b"enca", ..track(0, media::Type::Audio, 2) };
        assert_eq!(reason(&[protected]), Reason::Encrypted);
    }
}
