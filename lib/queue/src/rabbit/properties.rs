//! What stands on a message beside its body, and what of it is kept when a message is moved from
//! one queue to another.

use super::{APP_ID, PERSISTENT};
use crate::Message;
use domain::TraceParent;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

/// How often a message had been delivered before we moved it.
pub(super) const DELIVERIES: &str = "x-deliveries";
/// Why a message is a dead letter.
pub(super) const REASON: &str = "x-reason";
/// When it became one.
pub(super) const DEAD_AT: &str = "x-dead-at";
/// The trace it belongs to, under the name that other programs look for.
const TRACE: &str = "traceparent";
/// Of the body's form, for those who look before they parse.
const VERSION: &str = "version";

/// Of a message of ours that is sent for the first time.
pub(super) fn of_new(message: &Message) -> BasicProperties {
    let now = jiff::Timestamp::now().as_second();
    let mut headers = FieldTable::default();
    headers.insert(VERSION.into(), AMQPValue::LongInt(Message::VERSION.cast_signed()));
    if let Some(trace) = message.trace() {
        headers.insert(TRACE.into(), text(trace.as_str()));
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(message.id().to_string().into())
        .with_type(message.topic().name().into())
        .with_timestamp(now.unsigned_abs())
        .with_app_id(APP_ID.into())
        .with_headers(headers)
}

/// A moved message's own properties, and our headers. Of its other headers only version and trace
/// are taken along: `CC` would send copies to queues of its producer's choice. Nor is `user_id`,
/// which is not ours.
pub(super) fn moved(
    from: &BasicProperties,
    ours: impl IntoIterator<Item = (&'static str, AMQPValue)>,
) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(version) = header(from, VERSION).and_then(number) {
        headers.insert(VERSION.into(), AMQPValue::LongLongInt(version));
    }
    if let Some(trace) = trace(from) {
        headers.insert(TRACE.into(), text(trace.as_str()));
    }
    for (name, value) in ours {
        headers.insert(name.into(), value);
    }
    let mut properties =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    if let Some(content_type) = from.content_type() {
        properties = properties.with_content_type(content_type.clone());
    }
    if let Some(id) = from.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    if let Some(kind) = from.kind() {
        properties = properties.with_type(kind.clone());
    }
    if let Some(timestamp) = from.timestamp() {
        properties = properties.with_timestamp(*timestamp);
    }
    if let Some(app) = from.app_id() {
        properties = properties.with_app_id(app.clone());
    }
    properties
}

/// The trace in the headers, where it is one.
pub(super) fn trace(properties: &BasicProperties) -> Option<TraceParent> {
    string(header(properties, TRACE)?)?.parse().ok()
}

pub(super) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// A count in a header. A foreign producer may have sent it, with any number.
pub(super) fn count(value: &AMQPValue) -> Option<u32> {
    number(value).map(|number| u32::try_from(number).unwrap_or(0))
}

pub(super) fn number(value: &AMQPValue) -> Option<i64> {
    Some(match *value {
        AMQPValue::ShortShortInt(number) => number.into(),
        AMQPValue::ShortShortUInt(number) => number.into(),
        AMQPValue::ShortInt(number) => number.into(),
        AMQPValue::ShortUInt(number) => number.into(),
        AMQPValue::LongInt(number) => number.into(),
        AMQPValue::LongUInt(number) => number.into(),
        AMQPValue::LongLongInt(number) => number,
        AMQPValue::Timestamp(seconds) => i64::try_from(seconds).ok()?,
        _ => return None,
    })
}

pub(super) fn string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
