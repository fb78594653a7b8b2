//! Messages to send, told apart by a number.

use domain::ConversionId;
use queue::{ControlMessage, Message, Mp3Message, VideoMessage};
use uuid::Uuid;

fn conversion(number: u32) -> ConversionId {
    Uuid::from_u128(number.into()).into()
}

pub(crate) fn video(number: u32) -> Message {
    let username = Some("ada@example.org".to_owned());
    let video_fid = format!("video {number}");
    Message::Video(VideoMessage { conversion: Some(conversion(number)), video_fid, username })
}

pub(crate) fn control(number: u32) -> Message {
    Message::Control(ControlMessage { conversion: Some(conversion(number)) })
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
    })
}
