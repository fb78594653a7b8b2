//! The wire format: what we write, what we read, and that nothing read makes us panic.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CONVERSION: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn conversion() -> ConversionId {
    CONVERSION.parse().unwrap()
}

fn value(message: &Message) -> Value {
    serde_json::from_str(&message.to_json().unwrap()).unwrap()
}

#[test]
fn a_video_message_is_a_superset_of_the_originals() {
    let message = Message::Video(VideoMessage {
        conversion: Some(conversion()),
        video_fid: "64f0".to_owned(),
        username: Some("ada@example.org".to_owned()),
        trace: Some(TRACE.parse().unwrap()),
    });
    let wire = json!({
        "type": "video", "version": 1, "conversion": CONVERSION,
        "video_fid": "64f0", "mp3_fid": null, "username": "ada@example.org",
        "traceparent": TRACE,
    });
    assert_eq!(value(&message), wire);
}

#[test]
fn an_mp3_message_is_a_superset_of_the_originals() {
    let event = conversion().event();
    let message = Message::Mp3(Mp3Message {
        event,
        conversion: conversion(),
        video_fid: "64f0".to_owned(),
        mp3_fid: "64f1".to_owned(),
        username: "ada@example.org".to_owned(),
        name: "film.mp3".to_owned(),
        trace: None,
    });
    let wire = json!({
        "type": "mp3", "version": 1, "conversion": CONVERSION, "event": event, "name": "film.mp3",
        "video_fid": "64f0", "mp3_fid": "64f1", "username": "ada@example.org",
    });
    assert_eq!(value(&message), wire);
    assert_eq!(message.id(), event.uuid());
}

#[test]
fn an_originals_message_is_a_video_without_conversion() {
    let body =
        br#"{"video_fid": "64f0", "mp3_fid": null, "username": "ada@example.org", "x": [1]}"#;
    let message = Message::from_json(Topic::Video, body).unwrap();
    let Message::Video(video) = &message else { panic!("{message:?}") };
    assert_eq!((video.conversion, video.video_fid.as_str()), (None, "64f0"));
    assert_eq!(message.id(), Message::from_json(Topic::Video, body).unwrap().id());
}

#[test]
fn what_is_no_trace_is_passed_over() {
    for (trace, read) in [(json!(TRACE), Some(TRACE)), (json!("00-1-2-3"), None), (json!(7), None)]
    {
        let body = json!({"video_fid": "64f0", "traceparent": trace}).to_string();
        let message = Message::from_json(Topic::Video, body.as_bytes()).unwrap();
        assert_eq!(message.trace().map(TraceParent::as_str), read, "{body}");
    }
}

#[test]
fn what_is_not_a_message_is_named() {
    let long = format!("{{\"video_fid\":\"{}\"}}", "x".repeat(LONGEST));
    for (body, fault) in [
        ("", "EOF"),
        ("[]", "expected"),
        ("{}", "missing field `video_fid`"),
        (r#"{"video_fid":""}"#, "video_fid is empty"),
        (r#"{"video_fid":"1","type":"mp3"}"#, "its type is \"mp3\""),
        (r#"{"video_fid":"1","version":2}"#, "its version is 2"),
        (r#"{"video_fid":"1","conversion":"no"}"#, "UUID"),
        (&long, "bytes long"),
    ] {
        let error = Message::from_json(Topic::Video, body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(fault), "{body:.60}: {error}");
    }
}

fn messages() -> impl Strategy<Value = Message> {
    let video = (any::<Option<u128>>(), ".+", any::<Option<String>>());
    let mp3 = (any::<u128>(), any::<u128>(), any::<[String; 4]>());
    let id = |id: u128| ConversionId::from(Uuid::from_u128(id));
    prop_oneof![
        video.prop_map(move |(conversion, video_fid, username)| {
            let conversion = conversion.map(id);
            Message::Video(VideoMessage { conversion, video_fid, username, trace: None })
        }),
        mp3.prop_map(move |(event, conversion, [video_fid, mp3_fid, username, name])| {
            let (event, conversion) = (Uuid::from_u128(event).into(), id(conversion));
            let trace = Some(TraceParent::generate());
            Message::Mp3(Mp3Message {
                event,
                conversion,
                video_fid,
                mp3_fid,
                username,
                name,
                trace,
            })
        }),
        any::<Option<u128>>().prop_map(move |conversion| Message::Control(ControlMessage {
            conversion: conversion.map(id),
            trace: None,
        })),
    ]
}

/// JSON that often has our fields, of any type.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!(CONVERSION)),
        Just(json!(1)),
    ];
    let key = prop_oneof![
        Just("type".to_owned()),
        Just("version".to_owned()),
        Just("conversion".to_owned()),
        Just("event".to_owned()),
        Just("video_fid".to_owned()),
        Just("username".to_owned()),
        ".*",
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_the_same(message in messages()) {
        let body = message.to_json().unwrap();
        prop_assume!(body.len() <= LONGEST);
        prop_assert_eq!(Message::from_json(message.topic(), body.as_bytes()), Ok(message));
    }

    #[test]
    fn no_json_makes_it_panic(value in values(), topic in 0..3_usize) {
        let topic = Topic::ALL[topic];
        if let Ok(message) = Message::from_json(topic, value.to_string().as_bytes()) {
            prop_assert_eq!(message.topic(), topic);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>, topic in 0..3_usize) {
        let _ = Message::from_json(Topic::ALL[topic], &body);
    }
}
