//! What the report is to say of a file: its container, its tracks of sound, and which of them was
//! taken.

use super::libav::Track;
use domain::{Origin, SoundTrack};
use ffmpeg_next::media;

/// What a container with these tracks says of itself.
pub(super) fn origin(container: &str, tracks: &[Track], taken: Track) -> Origin {
    let sound = tracks.iter().filter(|track| track.medium == media::Type::Audio);
    let sound: Vec<_> = (1..).zip(sound).collect();
    let number = sound.iter().find(|(_, track)| track.index == taken.index);
    let known = |number: i32| u32::try_from(number).ok().filter(|number| *number > 0);
    let described = |(number, track): &(u8, &Track)| SoundTrack {
        number: *number,
        codec: track.codec.name().to_owned(),
        language: track.language,
        channels: known(track.channels),
        sample_rate: known(track.rate),
        default: track.default,
    };
    Origin {
        container: container.to_owned(),
        codec: taken.codec.name().to_owned(),
        track: number.map_or(0, |(number, _)| *number),
        tracks: sound.iter().map(described).collect(),
    }
}
