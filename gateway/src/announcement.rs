//! Tells the dispatcher. The record is what counts: a message that is not sent costs time only, the
//! dispatcher finds the record by itself.

use crate::context::Context;
use domain::{Change, Conversion};
use queue::{ControlMessage, Message, VideoMessage};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the broker's confirm; a client is waiting.
const CONFIRM: Duration = Duration::from_secs(2);

/// Rings for a new conversion, and notes in the record that it was done.
pub(crate) async fn of_video(context: &Context, conversion: &Conversion) {
    let message = Message::Video(VideoMessage {
        conversion: Some(conversion.id),
        video_fid: conversion.video_fid(),
        username: Some(conversion.owner.to_string()),
        trace: conversion.trace.clone(),
    });
    if !publish(context, conversion, &message).await {
        return;
    }
    if let Err(error) = context.storage.change(conversion.id, &Change::Announced).await {
        tracing::warn!(error = %error, conversion.id = %conversion.id, "an announcement was not noted; it comes again");
    }
}

/// Lets the dispatcher end a cancelled conversion's job at once.
pub(crate) async fn of_cancellation(context: &Context, conversion: &Conversion) {
    let message = Message::Control(ControlMessage {
        conversion: Some(conversion.id),
        trace: conversion.trace.clone(),
    });
    publish(context, conversion, &message).await;
}

/// Lets the dispatcher look at what an administrator has changed.
pub(crate) async fn of_operation(context: &Context) {
    let message = Message::Control(ControlMessage { conversion: None, trace: None });
    match timeout(CONFIRM, context.queue.publish(&message)).await {
        Ok(Ok(())) => {}
        _ => tracing::warn!("a message was not sent; the dispatcher looks within 30 s"),
    }
}

async fn publish(context: &Context, conversion: &Conversion, message: &Message) -> bool {
    match timeout(CONFIRM, context.queue.publish(message)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => {
            tracing::warn!(error = %error, conversion.id = %conversion.id, "a message was not sent");
        }
        Err(_) => {
            tracing::warn!(conversion.id = %conversion.id, "a message was not confirmed in time")
        }
    }
    false
}
