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

/// The audio track that is asked for. Of several the one of which something was met, then the default
/// one, then the one with most channels, then the first: the order of the `ffmpeg` command.
pub(super) fn choose(tracks: &[Track], wish: Option<domain::Track>) -> Result<Track, Stop> {
    let sound = tracks.iter().filter(|track| track.medium == media::Type::Audio);
    let sound: Vec<_> = (1..).zip(sound).collect();
    let fits = |(number, track): &&(u8, &Track)| match wish {
        None => true,
        Some(domain::Track::Number(wish)) => *number == wish,
        Some(domain::Track::Language(wish)) => track.language.is_some_and(|own| own.is(wish)),
    };
    let fitting = sound.iter().filter(fits).map(|(_, track)| *track);
    let rank = |track: &Track| (track.heard, track.default, track.channels);
    let best = fitting.reduce(|best, track| if rank(track) > rank(best) { track } else { best });
    match best {
        Some(track) if PROTECTED.contains(&&track.tag) => {
            Err(Stop::failed(Reason::Encrypted, "its sound is marked as encrypted"))
        }
        Some(track) => Ok(*track),
        None if tracks.is_empty() => Err(Stop::failed(Reason::NotMedia, "it has no streams")),
        None if sound.is_empty() => {
            Err(Stop::failed(Reason::NoAudioTrack, format!("{} streams", tracks.len())))
        }
        None => Err(Stop::failed(Reason::NoSuchTrack, format!("it has {}", names(&sound)))),
    }
}

/// Numbers and languages.
fn names(sound: &[(u8, &Track)]) -> String {
    let name = |(number, track): &(u8, &Track)| match track.language {
        Some(language) => format!("{number} {language}"),
        None => number.to_string(),
    };
    sound.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffmpeg_next::codec;

    fn track(index: usize, medium: media::Type, channels: i32) -> Track {
        Track {
            index,
            medium,
            codec: codec::Id::AAC,
            tag: *b"mp4a",
            channels,
            rate: 48_000,
            language: None,
            default: false,
            heard: true,
        }
    }

    #[test]
    fn the_track_is_the_one_that_ffmpeg_takes() {
        let picture = track(0, media::Type::Video, 0);
        let (stereo, surround) = (track(1, media::Type::Audio, 2), track(2, media::Type::Audio, 6));
        let chosen = |tracks: &[Track]| choose(tracks, None).unwrap().index;
        assert_eq!(chosen(&[picture, stereo, surround]), 2);
        assert_eq!(chosen(&[picture, Track { default: true, ..stereo }, surround]), 1);
        assert_eq!(chosen(&[picture, stereo, Track { heard: false, ..surround }]), 1);
        assert_eq!(chosen(&[picture, stereo, Track { index: 3, ..stereo }]), 1);
    }

    #[test]
    fn a_track_is_taken_by_its_number_or_its_language() {
        let spoken = |index, language: &str| {
            let language = Some(language.parse().unwrap());
            Track { language, ..track(index, media::Type::Audio, 2) }
        };
        let picture = track(0, media::Type::Video, 0);
        let (english, german) = (spoken(1, "eng"), Track { channels: 1, ..spoken(2, "ger") });
        let tracks = [picture, english, german, Track { channels: 2, ..spoken(3, "deu") }];
        let chosen = |wish: &str| choose(&tracks, Some(wish.parse().unwrap()));
        assert_eq!(chosen("1").unwrap().index, 1);
        assert_eq!(chosen("2").unwrap().index, 2);
        assert_eq!(chosen("eng").unwrap().index, 1);
        assert_eq!(chosen("GER").unwrap().index, 3, "of two the one with more channels");
        for wish in ["4", "fra"] {
            let Err(Stop::Failed(Reason::NoSuchTrack, detail)) = chosen(wish) else {
                panic!("{wish}")
            };
            assert_eq!(detail, "it has 1 eng, 2 ger, 3 deu");
        }
    }

    #[test]
    fn a_file_without_sound_says_which_kind_it_is() {
        let reason = |tracks: &[Track]| match choose(tracks, None) {
            Err(Stop::Failed(reason, _)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&[]), Reason::NotMedia);
        assert_eq!(reason(&[track(0, media::Type::Video, 0)]), Reason::NoAudioTrack);
        let protected = Track { tag: *b"enca", ..track(0, media::Type::Audio, 2) };
        assert_eq!(reason(&[protected]), Reason::Encrypted);
    }
}
