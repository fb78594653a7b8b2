//! Dead letters as only a broker has them: of foreign programs, and taken by a process that dies.

use crate::{
    backend::{Backend, LIMIT, delivery},
    message::{control, trace},
};
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use queue::{Message, Queue, Topic};
use std::collections::BTreeSet;

async fn publish(backend: &Backend, queue: &str, body: &str, properties: BasicProperties) {
    let properties = properties.with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    // Or it may not have arrived when the broker is asked over another connection.
    backend.channel().confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let sending = backend.channel().basic_publish(
        "".into(),
        queue.into(),
        options,
        body.as_bytes(),
        properties,
    );
    sending.await.unwrap().await.unwrap();
}

/// Opened, with all of its queues made and nobody at `video`.
async fn open(backend: &Backend) -> Queue {
    let queue = backend.open().await;
    queue.publish(&control(1)).await.unwrap();
    queue
}

/// The dead letters' bodies once there are so many, in no order.
async fn bodies(queue: &Queue, count: usize) -> BTreeSet<String> {
    let listing = async {
        loop {
            let letters = queue.dead_letters(100).await.unwrap();
            if letters.len() == count {
                return letters.into_iter().map(|letter| letter.body).collect();
            }
        }
    };
    tokio::time::timeout(LIMIT, listing).await.unwrap()
}

pub(crate) async fn what_the_broker_put_aside_is_listed_with_the_brokers_reason(backend: &Backend) {
    let queue = open(backend).await;
    publish(backend, "video", "\u{fffd}rubbish", BasicProperties::default()).await;
    let got = backend.channel().basic_get("video".into(), BasicGetOptions { no_ack: false }).await;
    let nack = BasicNackOptions { multiple: false, requeue: false };
    got.unwrap().unwrap().delivery.acker.nack(nack).await.unwrap();
    bodies(&queue, 1).await;
    let letter = queue.dead_letters(1).await.unwrap().remove(0);
    assert_eq!(
        (letter.reason.as_str(), letter.deliveries),
        ("put aside by the broker: rejected", 1)
    );
    assert_eq!((letter.body.as_str(), letter.trace), ("\u{fffd}rubbish", None));
    assert!(letter.at.is_some());
    queue.discard(letter.id).await.unwrap();
    assert_eq!(queue.dead_letters(1).await.unwrap(), []);
}

pub(crate) async fn a_process_that_dies_with_letters_in_hand_loses_none(backend: &Backend) {
    let queue = open(backend).await;
    for number in 0..20 {
        publish(backend, "video.dead", &format!("{number:02}"), BasicProperties::default()).await;
    }
    let before = bodies(&queue, 20).await;
    let url = backend.url();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let dying = connection.await.unwrap();
    let channel = dying.create_channel().await.unwrap();
    for _ in 0..10 {
        let options = BasicGetOptions { no_ack: false };
        channel.basic_get("video.dead".into(), options).await.unwrap().unwrap();
    }
    assert_eq!(bodies(&queue, 10).await, before.iter().skip(10).cloned().collect());
    // Closing it says as little about what was taken as dying does.
    dying.close(200, "done".into()).await.unwrap();
    assert_eq!(bodies(&queue, 20).await, before);
}

pub(crate) async fn a_replayed_letter_keeps_its_own_properties(backend: &Backend) {
    let queue = open(backend).await;
    let mut headers = FieldTable::default();
    let trace = trace(7);
    for (name, value) in [("traceparent", trace.as_str()), ("x-reason", "rubbish")] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_message_id("their own".into())
        .with_content_type("text/plain".into())
        .with_timestamp(7)
        .with_headers(headers);
    publish(backend, "video.dead", r#"{"video_fid": "64f0"}"#, properties).await;
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!((letters[0].reason.as_str(), &letters[0].trace), ("rubbish", &Some(trace.clone())));
    queue.replay(letters[0].id).await.unwrap();
    let got = backend.channel().basic_get("video".into(), BasicGetOptions { no_ack: false }).await;
    let got = got.unwrap().unwrap().delivery;
    let id = got.properties.message_id().as_ref().map(|id| id.as_str().to_owned());
    assert_eq!((id.as_deref(), *got.properties.timestamp()), (Some("their own"), Some(7)));
    let headers = got.properties.headers().clone().unwrap();
    let names: Vec<_> = headers.inner().keys().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(
        names.iter().filter(|name| !name.starts_with("x-")).collect::<Vec<_>>(),
        ["traceparent"]
    );
    got.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let delivery = delivery(&mut consumer).await;
    let Ok(Message::Video(message)) = delivery.message() else { panic!("{delivery:?}") };
    assert_eq!((message.video_fid.as_str(), &message.trace), ("64f0", &Some(trace)));
}
