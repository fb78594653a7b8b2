//! Sound that is MP3 already passes through, frame by frame, and stays as long as it was to the sample:
//! what its container says of silence at both ends goes into the header.

mod ends;

use super::{
    Stop,
    layer3::{self, Frame},
    libav, limits,
    mp3::Mp3,
    packets::{Packets, nanoseconds},
    walk::Walk,
};
use domain::Reason;
use ends::{Ends, Told};
use ffmpeg_next::{
    Packet, Rational,
    codec::{self, packet::side_data},
};

/// Whether a track can be copied.
pub(super) fn suits(packets: &Packets) -> Result<bool, Stop> {
    Ok(packets.codec()? == codec::Id::MP3)
}

/// Copies a track; milliseconds of sound.
pub(super) fn copy(walk: &Walk<'_>, mut packets: Packets) -> Result<u64, Stop> {
    let base = packets.stream()?.time_base();
    let mut mp3 = Mp3::new(walk.link.clone(), packets.tag(&walk.job.options));
    let mut ends = Ends::default();
    let (mut first, mut progress, mut end) = (None::<Frame>, walk.share.start, 0);
    while let Some(packet) = packets.next()? {
        let bytes = packet.data().unwrap_or_default();
        let told = told(&packet);
        ends.begin(&told);
        let mut lasts = 0;
        for (frame, bytes) in layer3::frames(bytes) {
            if first.is_none() {
                walk.link.tell(&packets.facts(frame.rate(), frame.channels()));
            }
            if !first.get_or_insert(frame).is_like(frame) {
                return Err(mixed());
            }
            lasts += frame.samples();
            if ends.takes(frame.samples(), told.is_outside) {
                mp3.push(frame, bytes)?;
            }
        }
        let Some(first) = first else { continue };
        let rate = first.rate();
        ends.end(&told, shortened(&packet, base, rate, lasts));
        end = end.max(ends_at(&packet, base, rate, lasts));
        let sound_ms = ends.sound_ms(rate);
        limits::check_duration(sound_ms)?;
        walk.tell(&packets, sound_ms, &mut progress);
    }
    walk.judge(packets.shortfall(end).as_deref())?;
    let Some(first) = first.filter(|_| ends.has_sound()) else {
        return Err(Stop::failed(Reason::NotMedia, "no frame of its MP3 can be read"));
    };
    mp3.finish(ends.silence())?;
    Ok(ends.sound_ms(first.rate()))
}

fn mixed() -> Stop {
    let detail =
        "its sample rate changes on the way, so it cannot be copied; choose a preset that encodes";
    Stop::failed(Reason::UnsupportedFormat, detail)
}

/// What a packet's container says about it.
fn told(packet: &Packet) -> Told {
    let skips = packet.side_data().find(|data| data.kind() == side_data::Type::SkipSamples);
    let number = |at: usize| {
        let bytes = skips.as_ref()?.data().get(at..)?.first_chunk()?;
        Some(u64::from(u32::from_le_bytes(*bytes)))
    };
    Told {
        skip: number(0).filter(|skip| *skip > 0),
        discard: number(4).unwrap_or(0),
        is_outside: libav::is_outside(packet),
    }
}

/// Samples by which a packet is shorter than its frames, where the container counts in samples.
fn shortened(packet: &Packet, base: Rational, rate: u32, lasts: u64) -> u64 {
    let counts = base == Rational::new(1, rate.cast_signed());
    let told = u64::try_from(packet.duration()).unwrap_or(0);
    if counts && told > 0 { lasts.saturating_sub(told) } else { 0 }
}

/// Where a packet ends by its timestamp, in nanoseconds.
fn ends_at(packet: &Packet, base: Rational, rate: u32, lasts: u64) -> i64 {
    let lasts = i64::try_from(lasts * 1_000_000_000 / u64::from(rate)).unwrap_or(i64::MAX);
    packet.pts().map_or(0, |at| nanoseconds(at, base).saturating_add(lasts))
}
