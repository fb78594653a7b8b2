//! Takes messages and rings. A message is acked as soon as the record says what it says, so nothing
//! is ever held unacked while a conversion runs. For a message of the original system the record is
//! made first, beside the others.

use crate::{
    Error,
    adopt::{Adoption, adopt},
};
use queue::{Consumer, Delivery, Item, Message, Queue, Topic, VideoMessage};
use std::{sync::Arc, time::Duration};
use storage::Storage;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// A message about a conversion that has no record is looked at this often before it is put aside.
const LOOKS: u32 = 3;
/// Between two looks: a gateway may still be writing the record.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// Listens on `video` and `control` until the token is cancelled.
pub(crate) async fn listen(
    queue: &Queue,
    storage: &Storage,
    wake: &Arc<Notify>,
    token: &CancellationToken,
) -> Result<(), Error> {
    for topic in [Topic::Video, Topic::Control] {
        let consumer = queue.consume(topic).await?;
        tokio::spawn(token.clone().run_until_cancelled_owned(take_all(
            consumer,
            storage.clone(),
            wake.clone(),
        )));
    }
    Ok(())
}

async fn take_all(mut consumer: Consumer, storage: Storage, wake: Arc<Notify>) {
    // At most as many as the consumer may hold unsettled. They end with this task.
    let mut adoptions = JoinSet::new();
    loop {
        match consumer.next().await {
            // The broker was away, or has lost everything: the records know better.
            Item::Reconnected => {}
            Item::Delivery(delivery) => match foreign(&delivery) {
                Some(message) => {
                    let (storage, wake) = (storage.clone(), wake.clone());
                    adoptions.spawn(async move {
                        settled(take_foreign(delivery, &message, &storage).await);
                        wake.notify_one();
                    });
                }
                None => settled(take(delivery, &storage).await),
            },
        }
        while adoptions.try_join_next().is_some() {}
        wake.notify_one();
    }
}

fn settled(result: Result<(), queue::Error>) {
    if let Err(error) = result {
        tracing::warn!(error = %error, "a message comes again");
    }
}

/// What a producer of the original system says, which knows no conversions.
fn foreign(delivery: &Delivery) -> Option<VideoMessage> {
    match delivery.message() {
        Ok(Message::Video(video)) if video.conversion.is_none() => Some(video.clone()),
        _ => None,
    }
}

async fn take_foreign(
    delivery: Delivery,
    message: &VideoMessage,
    storage: &Storage,
) -> Result<(), queue::Error> {
    let fid = &message.video_fid;
    match adopt(storage, message).await {
        Ok(Adoption::Done) => return delivery.ack().await,
        Ok(Adoption::Missing(_)) if delivery.deliveries() < LOOKS => {}
        Ok(Adoption::Missing(reason) | Adoption::Refused(reason)) => {
            tracing::warn!(
                video.fid = fid,
                reason,
                "a foreign message is put with the dead letters"
            );
            return put_aside(delivery, reason).await;
        }
        Err(error) => {
            tracing::info!(error = %error, video.fid = fid, "a foreign video is tried again later");
        }
    }
    delivery.retry_later(LOOK_AGAIN).await;
    Ok(())
}

async fn take(delivery: Delivery, storage: &Storage) -> Result<(), queue::Error> {
    let conversion = match delivery.message() {
        Ok(Message::Video(video)) => video.conversion,
        // A batch or the switch: the pass that it rings for reads them.
        Ok(Message::Control(control)) if control.conversion.is_none() => {
            return delivery.ack().await;
        }
        Ok(Message::Control(control)) => control.conversion,
        Ok(Message::Mp3(_)) => None,
        Err(bad) => {
            let reason = bad.to_string();
            tracing::warn!(reason, "a message is no message of ours; put with the dead letters");
            return put_aside(delivery, &reason).await;
        }
    };
    let Some(conversion) = conversion else {
        return put_aside(delivery, "it names no conversion").await;
    };
    match storage.conversion(conversion).await {
        Ok(_) => delivery.ack().await,
        Err(storage::Error::NotFound) if delivery.deliveries() >= LOOKS => {
            tracing::warn!(conversion.id = %conversion, "a message names an unknown conversion; put with the dead letters");
            put_aside(delivery, "the conversion is unknown").await
        }
        Err(_) => {
            delivery.retry_later(LOOK_AGAIN).await;
            Ok(())
        }
    }
}

async fn put_aside(delivery: Delivery, reason: &str) -> Result<(), queue::Error> {
    delivery.reject(reason).await?;
    metrics::counter!("audio_converter_dead_letters_total").increment(1);
    Ok(())
}
