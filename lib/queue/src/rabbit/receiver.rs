//! One consumer's task: connects, makes its queue, passes deliveries on, and begins anew whenever
//! the broker, the connection, the virtual host or the queue goes away.

use super::{
    Broker, Handle, Rabbit,
    link::{self, Backoff},
    properties::{self, DELIVERIES},
    topology::{self, Queue},
};
use crate::{Delivery, Item, Message, PREFETCH, Topic, consumer};
use futures::StreamExt;
use lapin::{
    Connection,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::sync::mpsc;

/// Ends when nobody receives any more, in the middle of whatever it does.
pub(super) async fn run(rabbit: Rabbit, topic: Topic, items: mpsc::Sender<Item>) {
    tokio::select! {
        () = items.closed() => {}
        () = receive(rabbit, topic, &items) => {}
    }
}

async fn receive(rabbit: Rabbit, topic: Topic, items: &mpsc::Sender<Item>) {
    let mut backoff = Backoff::new();
    let mut warned = false;
    loop {
        let why = match connect(&rabbit, topic).await {
            Ok((_connection, deliveries)) => {
                tracing::info!(%topic, "connected to the broker to consume");
                (backoff, warned) = (Backoff::new(), false);
                if items.send(Item::Reconnected).await.is_err() {
                    return;
                }
                pass_on(&rabbit, topic, deliveries, items).await
            }
            Err(error) => error.to_string(),
        };
        if !warned {
            tracing::warn!(%topic, why, "not consuming, connecting again");
            warned = true;
        }
        backoff.wait().await;
    }
}

async fn connect(rabbit: &Rabbit, topic: Topic) -> lapin::Result<(Connection, lapin::Consumer)> {
    let broker = &rabbit.broker;
    let connection = link::connect(&broker.uri, &format!("audio-converter {topic}")).await?;
    let deliveries = link::set_up(consume(&connection, topic, broker)).await?;
    Ok((connection, deliveries))
}

async fn consume(
    connection: &Connection,
    topic: Topic,
    broker: &Broker,
) -> lapin::Result<lapin::Consumer> {
    for queue in Queue::AT_START.into_iter().filter(|queue| queue.topic == topic) {
        topology::declare(connection, queue, &broker.warned).await?;
    }
    let channel = connection.create_channel().await?;
    // Per consumer, as quorum queues refuse the global kind.
    channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
    // Acked by hand, once the record says what the message says. Not exclusive: a second dispatcher
    // stands by. The empty tag has the broker make one.
    let options = BasicConsumeOptions { no_ack: false, exclusive: false, ..Default::default() };
    let queue = topic.name().into();
    channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
}

/// Returns why it ended.
async fn pass_on(
    rabbit: &Rabbit,
    topic: Topic,
    mut deliveries: lapin::Consumer,
    items: &mpsc::Sender<Item>,
) -> String {
    loop {
        match deliveries.next().await {
            Some(Ok(delivery)) => {
                let mut message = Message::from_json(topic, &delivery.data);
                if let Ok(message) = &mut message {
                    message.set_trace_if_none(properties::trace(&delivery.properties));
                }
                let count = count(&delivery);
                let handle = consumer::Handle::Rabbit(Box::new(Handle::new(
                    rabbit.clone(),
                    topic,
                    delivery,
                )));
                let item = Item::Delivery(Delivery::new(message, count, handle));
                if items.send(item).await.is_err() {
                    return "nobody receives any more".to_owned();
                }
            }
            Some(Err(error)) => return error.to_string(),
            // The broker cancels the consumer of a deleted queue.
            None => return "the queue was deleted".to_owned(),
        }
    }
}

/// This delivery's number: what we counted before we put it back, plus what the broker counts.
fn count(delivery: &lapin::message::Delivery) -> u32 {
    let header = |name| properties::header(&delivery.properties, name).and_then(properties::count);
    // A quorum queue counts: `acquired` on RabbitMQ 4, `delivery` on 3. A classic one only knows
    // that it has delivered before.
    let by_broker = [header("x-acquired-count"), header("x-delivery-count")];
    let by_broker = by_broker.into_iter().flatten().max().unwrap_or(0);
    let by_broker = by_broker.max(u32::from(delivery.redelivered));
    header(DELIVERIES).unwrap_or(0).saturating_add(by_broker).saturating_add(1)
}
