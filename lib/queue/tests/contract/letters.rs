//! The part of the contract that is about dead letters.

use crate::{
    backend::{Backend, delivery},
    message::{control, mp3, trace, video},
};
use jiff::{SignedDuration, Timestamp};
use queue::{DeadLetter, Error, Message, Queue, Topic};

/// Publishes each message and puts it aside.
async fn bury(queue: &Queue, messages: &[Message]) {
    for message in messages {
        queue.publish(message).await.unwrap();
        let mut consumer = queue.consume(message.topic()).await.unwrap();
        let delivery = delivery(&mut consumer).await;
        assert_eq!(delivery.message(), Ok(message));
        delivery.reject("no such file").await.unwrap();
    }
}

fn bodies(letters: &[DeadLetter]) -> Vec<Message> {
    let read = |letter: &DeadLetter| Message::from_json(letter.topic, letter.body.as_bytes());
    letters.iter().map(|letter| read(letter).unwrap()).collect()
}

pub(crate) async fn a_dead_letter_is_listed_with_all_that_is_known(backend: &Backend) {
    let queue = backend.open().await;
    assert_eq!(queue.dead_letters(10).await.unwrap(), []);
    let messages = [video(1), mp3(2), control(3)];
    bury(&queue, &messages).await;
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!(bodies(&letters), messages);
    for (letter, number) in letters.iter().zip(1..) {
        assert_eq!((letter.reason.as_str(), letter.deliveries), ("no such file", 1));
        assert_eq!(letter.trace, Some(trace(number)));
        assert_eq!(letter.length, letter.body.len() as u64);
        let age = Timestamp::now().duration_since(letter.at.unwrap());
        assert!(age.abs() < SignedDuration::from_mins(5), "{age}");
    }
}

pub(crate) async fn listing_changes_nothing(backend: &Backend) {
    let queue = backend.open().await;
    let messages: Vec<_> = (0..30).map(video).collect();
    bury(&queue, &messages).await;
    let all = queue.dead_letters(100).await.unwrap();
    assert_eq!(bodies(&all), messages);
    // Those that were not looked at stay behind those that were.
    assert_eq!(queue.dead_letters(7).await.unwrap(), all[..7]);
    assert_eq!(queue.dead_letters(0).await.unwrap(), []);
    let other = backend.open().await;
    let (one, another) = tokio::join!(queue.dead_letters(100), other.dead_letters(100));
    assert_eq!((one.unwrap(), another.unwrap()), (all.clone(), all.clone()));
    bury(&queue, &[video(30)]).await;
    let more = queue.dead_letters(100).await.unwrap();
    assert_eq!((&more[..30], &bodies(&more[30..])[..]), (&all[..], &[video(30)][..]));
}

pub(crate) async fn a_replayed_letter_comes_again_as_it_was(backend: &Backend) {
    let queue = backend.open().await;
    bury(&queue, &[video(1), video(2), video(3)]).await;
    let letters = queue.dead_letters(10).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    queue.replay(letters[1].id).await.unwrap();
    let again = delivery(&mut consumer).await;
    assert_eq!((again.message(), again.deliveries()), (Ok(&video(2)), 1));
    assert_eq!(bodies(&queue.dead_letters(10).await.unwrap()), [video(1), video(3)]);
    assert!(matches!(queue.replay(letters[1].id).await, Err(Error::NoSuchLetter)));
    // Put aside once more it is the same letter.
    again.reject("still not there").await.unwrap();
    let last = queue.dead_letters(10).await.unwrap();
    let last = last.iter().find(|letter| letter.id == letters[1].id).unwrap();
    assert_eq!((last.reason.as_str(), last.deliveries), ("still not there", 1));
}

pub(crate) async fn a_dropped_letter_is_gone(backend: &Backend) {
    let queue = backend.open().await;
    bury(&queue, &[video(1), control(2), video(3)]).await;
    let letters = queue.dead_letters(10).await.unwrap();
    let of = |topic| letters.iter().find(|letter| letter.topic == topic).unwrap().id;
    queue.discard(of(Topic::Video)).await.unwrap();
    queue.discard(of(Topic::Control)).await.unwrap();
    assert!(matches!(queue.discard(of(Topic::Control)).await, Err(Error::NoSuchLetter)));
    assert_eq!(bodies(&backend.open().await.dead_letters(10).await.unwrap()), [video(3)]);
    // What waits is no dead letter, whatever its id.
    queue.publish(&video(1)).await.unwrap();
    assert!(matches!(queue.discard(of(Topic::Video)).await, Err(Error::NoSuchLetter)));
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(1)));
}

pub(crate) async fn copies_of_a_letter_go_together(backend: &Backend) {
    let queue = backend.open().await;
    bury(&queue, &[video(1), video(2), video(1), video(1)]).await;
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!((letters[0].id, letters[0].id), (letters[2].id, letters[3].id));
    queue.replay(letters[0].id).await.unwrap();
    assert_eq!(bodies(&queue.dead_letters(10).await.unwrap()), [video(2)]);
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    delivery(&mut consumer).await.ack().await.unwrap();
    queue.publish(&video(3)).await.unwrap();
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(3)));
}
