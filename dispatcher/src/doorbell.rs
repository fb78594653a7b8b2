//! Takes messages and rings. A message is acked as soon as the record says what it says, so nothing
//! is ever held unacked while a conversion runs.

use crate::Error;
use queue::{Consumer, Delivery, Item, Message, Queue, Topic};
use std::{sync::Arc, time::Duration};
use storage::Storage;
use tokio::sync::Notify;
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
    loop {
        match consumer.next().await {
            // The broker was away, or has lost everything: the records know better.
            Item::Reconnected => {}
            Item::Delivery(delivery) => {
                if let Err(error) = take(delivery, &storage).await {
                    tracing::warn!(error = %error, "a message comes again");
                }
            }
        }
        wake.notify_one();
    }
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
