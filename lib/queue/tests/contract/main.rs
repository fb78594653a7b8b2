//! One suite over both back ends: what a queue promises, whoever keeps the messages. SQLite always
//! takes part; RabbitMQ does when `backend.rs` is told of one. Else its tests count as ignored,
//! loudly; with `CI=true` that is a failure.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap in a test is a failed test"
)]

mod backend;
mod concurrency;
mod foreign_letters;
mod letters;
mod message;
mod outage;
mod rabbit;

use backend::{Backend, delivery, reconnected};
use concurrency::{
    of_concurrent_publishers_no_message_is_lost, two_consumers_share_a_topic,
    waiting_can_be_given_up_and_loses_nothing,
};
use letters::{
    a_dead_letter_is_listed_with_all_that_is_known, a_dropped_letter_is_gone,
    a_replayed_letter_comes_again_as_it_was, copies_of_a_letter_go_together,
    listing_changes_nothing,
};
use libtest_mimic::{Arguments, Failed, Trial};
use message::{control, mp3, video};
use queue::{Message, Topic};
use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if backend::rabbit_is_absent() {
        eprintln!("\nSKIPPED: RabbitMQ: set AMQP_TEST_VHOST_URL, or AMQP_URL and RABBITMQCTL\n");
        if env::var("CI").is_ok_and(|ci| ci == "true") && env::var("CLUSTER_MAY_BE_ABSENT").is_err()
        {
            eprintln!("in CI nothing may be skipped");
            return ExitCode::FAILURE;
        }
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn run(mut runtime: Builder, test: impl Future<Output = ()>) -> Result<(), Failed> {
    runtime.enable_all().build()?.block_on(test);
    Ok(())
}

/// A test over RabbitMQ that also needs these variables.
fn over_rabbitmq(
    name: &str,
    needed: &[&str],
    test: impl AsyncFnOnce(&Backend) + Send + 'static,
) -> Trial {
    let rabbit_is_absent = backend::rabbit_is_absent();
    let missing = needed.iter().find(|variable| env::var(variable).is_err());
    if let Some(variable) = missing
        && !rabbit_is_absent
    {
        eprintln!("SKIPPED: {name}: {variable} is not set");
    }
    let test = async || test(&Backend::rabbit().await).await;
    Trial::test(name, || run(Builder::new_multi_thread(), test()))
        .with_ignored_flag(missing.is_some() || rabbit_is_absent)
}

/// Makes each of the first tests twice, once for each back end; the others are RabbitMQ's alone.
macro_rules! contract {
    ($($both:ident)*; $($part:ident::$alone:ident $(($variable:ident))?)*) => {
        fn trials() -> Vec<Trial> {
            vec![
                $(Trial::test(concat!("embedded::", stringify!($both)), || {
                    run(Builder::new_current_thread(), $both(&Backend::embedded()))
                }),
                over_rabbitmq(concat!("over_rabbitmq::", stringify!($both)), &[], $both),)*
                $(over_rabbitmq(
                    concat!(stringify!($part), "::", stringify!($alone)),
                    &[$(stringify!($variable))?],
                    $part::$alone,
                ),)*
            ]
        }
    };
}

contract! {
    an_acked_message_never_comes_again
    an_ack_settles_its_own_message_alone
    an_unsettled_message_comes_again_when_the_queue_is_opened_again
    an_unsettled_message_comes_again_when_its_consumer_is_dropped
    a_message_to_be_tried_later_comes_later_and_counts
    a_rejected_message_is_a_dead_letter_with_its_reason
    a_dead_letter_is_listed_with_all_that_is_known
    listing_changes_nothing
    a_replayed_letter_comes_again_as_it_was
    a_dropped_letter_is_gone
    copies_of_a_letter_go_together
    messages_come_in_the_order_of_their_publishing
    two_consumers_share_a_topic
    of_concurrent_publishers_no_message_is_lost
    waiting_can_be_given_up_and_loses_nothing
    every_topic_has_a_queue_of_its_own
    mp3_keeps_only_the_newest_messages;
    outage::a_broker_that_is_absent_at_start_is_waited_for_and_then_found
    outage::a_short_outage_is_bridged_and_the_unsettled_message_comes_again
    outage::a_killed_broker_loses_no_confirmed_message (RABBITMQ_KILL)
    rabbit::a_message_of_an_original_producer_is_understood_and_rubbish_is_a_dead_letter
    foreign_letters::what_the_broker_put_aside_is_listed_with_the_brokers_reason
    foreign_letters::a_process_that_dies_with_letters_in_hand_loses_none
    foreign_letters::a_replayed_letter_keeps_its_own_properties
    rabbit::a_queue_that_exists_with_other_arguments_is_used_as_it_is
    rabbit::what_cannot_be_put_aside_comes_again
    rabbit::a_letter_that_cannot_be_replayed_stays
    rabbit::deleted_queues_are_made_again
    rabbit::a_virtual_host_that_was_deleted_and_made_again_is_found_again (RABBITMQCTL)
}

async fn an_acked_message_never_comes_again(backend: &Backend) {
    let (first, second) = (video(1), video(2));
    {
        let queue = backend.open().await;
        queue.publish(&first).await.unwrap();
        let mut consumer = queue.consume(Topic::Video).await.unwrap();
        reconnected(&mut consumer).await;
        let delivery = delivery(&mut consumer).await;
        assert_eq!(delivery.message(), Ok(&first));
        assert_eq!(delivery.deliveries(), 1);
        delivery.ack().await.unwrap();
    }
    let queue = backend.open().await;
    queue.publish(&second).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&second));
}

async fn an_ack_settles_its_own_message_alone(backend: &Backend) {
    let queue = backend.open().await;
    for number in 0..3 {
        queue.publish(&video(number)).await.unwrap();
    }
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let _first = delivery(&mut consumer).await;
    let second = delivery(&mut consumer).await;
    let _third = delivery(&mut consumer).await;
    second.ack().await.unwrap();
    drop(consumer);
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    for number in [0, 2] {
        assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(number)));
    }
}

async fn an_unsettled_message_comes_again_when_the_queue_is_opened_again(backend: &Backend) {
    let message = video(1);
    {
        let queue = backend.open().await;
        queue.publish(&message).await.unwrap();
        let mut consumer = queue.consume(Topic::Video).await.unwrap();
        assert_eq!(delivery(&mut consumer).await.message(), Ok(&message));
    }
    let mut consumer = backend.open().await.consume(Topic::Video).await.unwrap();
    let again = delivery(&mut consumer).await;
    assert_eq!(again.message(), Ok(&message));
    assert_eq!(again.deliveries(), 2);
}

async fn an_unsettled_message_comes_again_when_its_consumer_is_dropped(backend: &Backend) {
    let queue = backend.open().await;
    queue.publish(&video(1)).await.unwrap();
    let mut dropped = queue.consume(Topic::Video).await.unwrap();
    let _unsettled = delivery(&mut dropped).await;
    drop(dropped);
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let again = delivery(&mut consumer).await;
    assert_eq!((again.message(), again.deliveries()), (Ok(&video(1)), 2));
}

async fn a_message_to_be_tried_later_comes_later_and_counts(backend: &Backend) {
    let queue = backend.open().await;
    queue.publish(&video(1)).await.unwrap();
    queue.publish(&video(2)).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let begun = Instant::now();
    delivery(&mut consumer).await.retry_later(Duration::from_millis(300)).await;
    let next = delivery(&mut consumer).await;
    assert_eq!(next.message(), Ok(&video(2)));
    next.ack().await.unwrap();
    let again = delivery(&mut consumer).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "after {:?}", begun.elapsed());
    assert_eq!((again.message(), again.deliveries()), (Ok(&video(1)), 2));
    again.retry_later(Duration::ZERO).await;
    let third = delivery(&mut consumer).await;
    assert_eq!((third.message(), third.deliveries()), (Ok(&video(1)), 3));
}

async fn a_rejected_message_is_a_dead_letter_with_its_reason(backend: &Backend) {
    let queue = backend.open().await;
    for (topic, message) in
        [(Topic::Video, video(1)), (Topic::Control, control(1)), (Topic::Mp3, mp3(1))]
    {
        queue.publish(&message).await.unwrap();
        let mut consumer = queue.consume(topic).await.unwrap();
        delivery(&mut consumer).await.reject("no such file").await.unwrap();
        let (body, reason) = backend.dead_letter(topic).await;
        assert_eq!(Message::from_json(topic, &body), Ok(message.clone()));
        assert_eq!(reason, "no such file");
    }
}

async fn messages_come_in_the_order_of_their_publishing(backend: &Backend) {
    let queue = backend.open().await;
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    for number in 0..30 {
        queue.publish(&video(number)).await.unwrap();
    }
    for number in 0..30 {
        let delivery = delivery(&mut consumer).await;
        assert_eq!(delivery.message(), Ok(&video(number)));
        delivery.ack().await.unwrap();
    }
}

async fn every_topic_has_a_queue_of_its_own(backend: &Backend) {
    let queue = backend.open().await;
    for message in [control(1), mp3(1), video(1)] {
        queue.publish(&message).await.unwrap();
    }
    for message in [video(1), control(1), mp3(1)] {
        let mut consumer = queue.consume(message.topic()).await.unwrap();
        assert_eq!(delivery(&mut consumer).await.message(), Ok(&message));
    }
}

async fn mp3_keeps_only_the_newest_messages(backend: &Backend) {
    backend.fill_mp3(100_000).await;
    let queue = backend.open().await;
    for number in 0..3 {
        queue.publish(&mp3(number)).await.unwrap();
    }
    backend.mp3_count_becomes(100_000).await;
}
