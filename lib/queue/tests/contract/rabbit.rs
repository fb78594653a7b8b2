//! What only a broker can do: foreign programs at its queues, queues made by others, queues and
//! virtual hosts deleted under us.

use crate::{
    backend::{Backend, LIMIT, delivery, item, reconnected, wipe_vhost},
    message::{control, video},
};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use queue::{Consumer, Error, Item, Message, Queue, Topic};

pub(crate) async fn a_message_of_an_original_producer_is_understood_and_rubbish_is_a_dead_letter(
    backend: &Backend,
) {
    let mut consumer = backend.open().await.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    let foreign = r#"{"video_fid": "64f0c0ffee", "mp3_fid": null, "username": "ada@example.org"}"#;
    for body in [foreign, "rubbish"] {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = backend.channel().basic_publish(
            "".into(),
            "video".into(),
            options,
            body.as_bytes(),
            properties,
        );
        sent.await.unwrap().await.unwrap();
    }
    let understood = delivery(&mut consumer).await;
    let Ok(Message::Video(message)) = understood.message() else { panic!("{understood:?}") };
    assert_eq!((message.conversion, message.video_fid.as_str()), (None, "64f0c0ffee"));
    understood.ack().await.unwrap();
    let rubbish = delivery(&mut consumer).await;
    let reason = rubbish.message().unwrap_err().to_string();
    rubbish.reject(&reason).await.unwrap();
    assert_eq!(backend.dead_letter(Topic::Video).await, (b"rubbish".to_vec(), reason));
}

pub(crate) async fn a_queue_that_exists_with_other_arguments_is_used_as_it_is(backend: &Backend) {
    for queue in ["video", "mp3"] {
        let options = QueueDeclareOptions::durable();
        let made = backend.channel().queue_declare(queue.into(), options, FieldTable::default());
        made.await.unwrap();
    }
    let queue = backend.open().await;
    queue.publish(&video(1)).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let first = delivery(&mut consumer).await;
    assert_eq!((first.message(), first.deliveries()), (Ok(&video(1)), 1));
    drop((first, consumer));
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let again = delivery(&mut consumer).await;
    assert_eq!((again.message(), again.deliveries()), (Ok(&video(1)), 2));
}

/// Makes a queue that refuses whatever is beyond so many messages.
async fn full_beyond(backend: &Backend, queue: &str, count: i64) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), count.into());
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions::durable();
    backend.channel().queue_declare(queue.into(), options, arguments).await.unwrap();
}

pub(crate) async fn what_cannot_be_put_aside_comes_again(backend: &Backend) {
    full_beyond(backend, "video.dead", 0).await;
    let queue = backend.open().await;
    queue.publish(&video(1)).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let refused = delivery(&mut consumer).await.reject("no such file").await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    drop(consumer);
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(1)));
}

pub(crate) async fn a_letter_that_cannot_be_replayed_stays(backend: &Backend) {
    full_beyond(backend, "video", 1).await;
    let queue = backend.open().await;
    queue.publish(&video(1)).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    delivery(&mut consumer).await.reject("no such file").await.unwrap();
    drop(consumer);
    queue.publish(&video(2)).await.unwrap();
    let letters = queue.dead_letters(10).await.unwrap();
    let refused = queue.replay(letters[0].id).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(queue.dead_letters(10).await.unwrap(), letters);
}

pub(crate) async fn deleted_queues_are_made_again(backend: &Backend) {
    let queue = backend.open().await;
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    queue.publish(&video(1)).await.unwrap();
    for name in ["control", "video"] {
        let deleted = backend.channel().queue_delete(name.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
    // Nobody consumes `control`, so that the publisher has to make it again by itself.
    queue.publish(&control(1)).await.unwrap();
    let mut controls = queue.consume(Topic::Control).await.unwrap();
    assert_eq!(delivery(&mut controls).await.message(), Ok(&control(1)));
    until_reconnected(&mut consumer).await;
    queue.publish(&video(2)).await.unwrap();
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(2)));
}

pub(crate) async fn a_virtual_host_that_was_deleted_and_made_again_is_found_again(
    backend: &Backend,
) {
    let queue = backend.open().await;
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    queue.publish(&video(1)).await.unwrap();
    let url: lapin::uri::AMQPUri = backend.url().parse().unwrap();
    assert!(wipe_vhost(&url.vhost, &url.authority.userinfo.username));
    until_reconnected(&mut consumer).await;
    until_published(&queue, &video(2)).await;
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(2)));
}

/// Passes over what was delivered before.
pub(crate) async fn until_reconnected(consumer: &mut Consumer) {
    while !matches!(item(consumer).await, Item::Reconnected) {}
}

/// Publishes as the reconciler does: again and again until it is confirmed.
pub(crate) async fn until_published(queue: &Queue, message: &Message) {
    let published = async { while queue.publish(message).await.is_err() {} };
    tokio::time::timeout(LIMIT, published).await.unwrap();
}
