//! What is said is heard, and nothing else is.

use super::*;
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
        (any::<u64>(), prop::option::of(loudnesses()))
            .prop_map(|(duration_ms, loudness)| Request::Done { duration_ms, loudness }),
        (prop::sample::select(&REASONS[..]), "[a-z]{0,1024}")
            .prop_map(|(reason, detail)| Request::Failed { reason, detail }),
    ]
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
