//! Messages to send, told apart by a number.

use domain::{ConversionId, TraceParent};
use queue::{ControlMessage, Message, Mp3Message, VideoMessage};
use uuid::Uuid;

fn conversion(number: u32) -> ConversionId {
    Uuid::from_u128(number.into()).into()
}

/// The trace of the messages of this number.
pub(crate) fn trace(number: u32) -> TraceParent {
    format!("00-{:032x}-{:016x}-01", number + 1, 7).parse().unwrap()
}

pub(crate) fn video(number: u32) -> Message {
    let username = Some("ada@example.org".to_owned());
    let video_fid = format!("video {number}");
    let trace = Some(trace(number));
    Message::Video(VideoMessage {
        conversion: Some(conversion(number)),
        video_fid,
        username,
        trace,
    })
}

pub(crate) fn control(number: u32) -> Message {
    let trace = Some(trace(number));
    Message::Control(ControlMessage { conversion: Some(conversion(number)), trace })
}

pub(crate) fn mp3(number: u32) -> Message {
    let conversion = conversion(number);
    Message::Mp3(Mp3Message {
        event: conversion.event(),
        conversion,
        video_fid: format!("video {number}"),
        mp3_fid: conversion.mp3(1).to_string(),
        username: "ada@example.org".to_owned(),
        name: "film.mp3".to_owned(),
        trace: Some(trace(number)),
    })
}
