//! What is said is heard, and nothing else is.

use super::*;
use domain::{Decibels, Origin, SoundTrack, Waveform};
use proptest::prelude::*;

fn parse(frame: &[u8]) -> Result<Request, Malformed> {
    let header = Header::parse(frame[..HEADER].try_into().unwrap())?;
    Request::decode(header, Bytes::copy_from_slice(&frame[HEADER..]))
}

fn requests() -> impl Strategy<Value = Request> {
    let block = || prop::collection::vec(any::<u8>(), 1..2000).prop_map(Bytes::from);
    prop_oneof![
        (any::<u64>(), 0..=u32::try_from(MAX_BLOCK).unwrap())
            .prop_map(|(offset, length)| Request::Read { offset, length }),
        block().prop_map(Request::Append),
        (any::<u64>(), block()).prop_map(|(offset, bytes)| Request::Patch { offset, bytes }),
        (0..=100_u8, any::<u64>())
            .prop_map(|(percent, sound_ms)| Request::Progress { percent, sound_ms }),
        "[a-z]{0,1024}".prop_map(Request::Notice),
        facts().prop_map(|facts| Request::Facts(Box::new(facts))),
        drawn().prop_map(|drawn| Request::Waveform(Box::new(drawn))),
        (any::<u64>(), prop::option::of(loudnesses()))
            .prop_map(|(duration_ms, loudness)| Request::Done { duration_ms, loudness }),
        (prop::sample::select(&REASONS[..]), "[a-z]{0,1024}")
            .prop_map(|(reason, detail)| Request::Failed { reason, detail }),
    ]
}

fn facts() -> impl Strategy<Value = Facts> {
    let known = || prop::option::of(1..200_000_u32);
    let track = ("[a-z0-9_]{0,64}", prop::option::of("[a-z]{3}"), known(), known(), any::<bool>());
    let tracks = prop::collection::vec(track, 1..=32);
    let rest = ("[a-z,]{0,64}", "[a-z]{0,64}", 8_000..=48_000_u32, 1..=2_u8, any::<usize>());
    (tracks, rest).prop_map(|(tracks, (container, codec, sample_rate, channels, taken))| {
        let taken = taken % tracks.len() + 1;
        let track = |(number, (codec, language, channels, sample_rate, default))| {
            let language = Option::map(language, |code: String| code.parse().unwrap());
            SoundTrack { number, codec, language, channels, sample_rate, default }
        };
        let tracks = (1..).zip(tracks).map(track).collect();
        let origin = Origin { container, codec, track: u8::try_from(taken).unwrap(), tracks };
        Facts { origin, sample_rate, channels }
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let pixel = any::<(i8, i8)>().prop_map(|(a, b)| [a.min(b), a.max(b)]);
    let pixels = prop::collection::vec(pixel, 1..500);
    let peak = prop::option::of((-300.0..300.0).prop_map(|db| Decibels::try_from(db).unwrap()));
    (8_000..=48_000_u32, 1..u32::MAX, pixels, peak).prop_map(|(rate, step, pixels, peak)| Drawn {
        waveform: Waveform::new(rate, step, pixels.concat()),
        peak,
    })
}

fn loudnesses() -> impl Strategy<Value = Loudness> {
    let level = || (-300.0..300.0).prop_map(|level| Decibels::try_from(level).unwrap());
    let levels = (level(), level(), level());
    levels.prop_map(|(integrated_lufs, true_peak_dbtp, gain_db)| Loudness {
        integrated_lufs,
        true_peak_dbtp,
        gain_db,
    })
}

proptest! {
    #[test]
    fn what_is_said_is_heard(request in requests()) {
        prop_assert_eq!(parse(&request.encode()), Ok(request));
    }

    #[test]
    fn no_bytes_panic_and_none_are_taken_beyond_the_limits(
        kind: u8,
        payload in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        let mut frame = Header::encode(kind, payload.len()).to_vec();
        frame.extend(payload);
        match parse(&frame) {
            Ok(Request::Read { length, .. }) => prop_assert!(length as usize <= MAX_BLOCK),
            Ok(Request::Progress { percent, .. }) => prop_assert!(percent <= 100),
            Ok(Request::Failed { detail, .. }) => {
                prop_assert!(!detail.contains(char::is_control));
            }
            _ => {}
        }
    }

    #[test]
    fn a_header_never_promises_more_than_the_largest_payload(bytes: [u8; HEADER]) {
        if let Ok(header) = Header::parse(bytes) {
            prop_assert!(header.length <= MAX_PAYLOAD);
        }
    }
}

#[test]
fn a_detail_is_cut_between_characters() {
    let detail = "é".repeat(MAX_DETAIL);
    let failed = Request::Failed { reason: Reason::NotMedia, detail };
    let Ok(Request::Failed { detail, .. }) = parse(&failed.encode()) else {
        panic!("it does not parse")
    };
    assert_eq!(detail.len(), MAX_DETAIL);
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&Header::encode(kind, payload.len())[..], payload].concat()
}

fn drawing(rate: u32, step: u32, peak: f64, data: &[u8]) -> Vec<u8> {
    let head = [&rate.to_le_bytes()[..], &step.to_le_bytes(), &peak.to_le_bytes()].concat();
    frame(b'w', &[&head, data].concat())
}

#[test]
fn a_waveform_is_bounded_and_makes_sense() {
    let most = 2 * Waveform::MOST_PIXELS;
    let fine = |rate, step, peak, data: &[u8]| parse(&drawing(rate, step, peak, data)).is_ok();
    assert!(fine(48_000, 256, f64::NAN, &[0x80, 0x7f]) && fine(8_000, 1, -3.0, &vec![0; most]));
    // Too long, half a pixel, none, a low above its high, a rate, a step, a peak that cannot be.
    assert!(!fine(48_000, 256, 0.0, &vec![0; most + 2]));
    assert!(!fine(48_000, 256, 0.0, &[0; 3]) && !fine(48_000, 256, 0.0, &[]));
    assert!(!fine(48_000, 256, 0.0, &[0, 0, 1, 0]) && !fine(48_000, 256, 0.0, &[0, 0x80]));
    assert!(!fine(48_001, 256, 0.0, &[0; 2]) && !fine(0, 256, 0.0, &[0; 2]));
    assert!(!fine(48_000, 0, 0.0, &[0; 2]) && !fine(48_000, 256, 301.0, &[0; 2]));
    assert!(!fine(48_000, 256, f64::INFINITY, &[0; 2]) && parse(&frame(b'w', &[0; 9])).is_err());
}

#[test]
fn facts_are_bounded_and_tidied() {
    let told = |tracks: usize, track: u8, rate: u32, channels: u8, name: &str| {
        let one = r#"{"number":1,"codec":"aac","language":null,"channels":2,"sample_rate":1,"default":true}"#;
        let tracks = vec![one; tracks].join(",");
        let text = format!(
            r#"{{"origin":{{"container":"{name}","codec":"aac","track":{track},"tracks":[{tracks}]}},"sample_rate":{rate},"channels":{channels}}}"#
        );
        parse(&frame(b'i', text.as_bytes()))
    };
    assert!(told(32, 32, 48_000, 2, "mov").is_ok());
    for (tracks, track, rate, channels) in [
        (33, 1, 48_000, 2),
        (2, 3, 48_000, 2),
        (1, 0, 48_000, 2),
        (0, 1, 48_000, 2),
        (1, 1, 96_000, 2),
        (1, 1, 48_000, 3),
        (1, 1, 48_000, 0),
    ] {
        assert!(told(tracks, track, rate, channels, "mov").is_err(), "{tracks} {track}");
    }
    let Ok(Request::Facts(facts)) =
        told(1, 1, 48_000, 2, &format!("a\\n\\u001b[31m{}", "é".repeat(64)))
    else {
        panic!("it does not parse")
    };
    let name = &facts.origin.container;
    assert!(name.starts_with("a  [31mé") && name.len() <= 64, "{name}");
    let long = format!("{{\"origin\":{}", " ".repeat(MAX_FACTS));
    assert!(parse(&frame(b'i', long.as_bytes())).is_err());
    assert!(parse(&frame(b'i', b"")).is_err() && parse(&frame(b'i', &[b'['; 60_000])).is_err());
}
