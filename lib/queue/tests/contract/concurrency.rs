//! The part of the contract that is about several at once.

use crate::{
    backend::{Backend, LIMIT, delivery, reconnected},
    message::video,
};
use queue::{Item, Topic};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

pub(crate) async fn two_consumers_share_a_topic(backend: &Backend) {
    let queue = backend.open().await;
    let mut one = queue.consume(Topic::Video).await.unwrap();
    let mut other = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut one).await;
    reconnected(&mut other).await;
    for number in 0..40 {
        queue.publish(&video(number)).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 40 {
        let item = tokio::time::timeout(LIMIT, async {
            tokio::select! { item = one.next() => item, item = other.next() => item }
        });
        if let Item::Delivery(delivery) = item.await.unwrap() {
            assert!(seen.insert(delivery.message().unwrap().id()), "delivered twice");
            delivery.ack().await.unwrap();
        }
    }
}

pub(crate) async fn of_concurrent_publishers_no_message_is_lost(backend: &Backend) {
    let queue = backend.open().await;
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    let numbers = Arc::new(AtomicU32::new(0));
    let publishers = [0; 20].map(|_| {
        let (queue, numbers) = (queue.clone(), numbers.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                queue.publish(&video(number)).await.unwrap();
            }
        })
    });
    let mut seen = BTreeSet::new();
    while seen.len() < 200 {
        let delivery = delivery(&mut consumer).await;
        seen.insert(delivery.message().unwrap().id());
        delivery.ack().await.unwrap();
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

pub(crate) async fn waiting_can_be_given_up_and_loses_nothing(backend: &Backend) {
    let queue = backend.open().await;
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    for number in 0..20 {
        let message = video(number);
        let publishing = queue.publish(&message);
        tokio::pin!(publishing);
        // `next` is begun and dropped again and again, at whatever point it has come to.
        let mut published = false;
        let delivery = loop {
            tokio::select! {
                biased;
                item = consumer.next() => match item {
                    Item::Delivery(delivery) => break delivery,
                    Item::Reconnected => {}
                },
                result = &mut publishing, if !published => { result.unwrap(); published = true; }
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!((delivery.message(), delivery.deliveries()), (Ok(&message), 1));
        delivery.ack().await.unwrap();
        if !published {
            publishing.await.unwrap();
        }
    }
}
