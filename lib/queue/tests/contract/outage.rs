//! The broker goes away and comes back: cut off by a proxy between us, absent from the start, or
//! killed by the command in `RABBITMQ_KILL` (which also starts it again).

use crate::{
    backend::{Backend, delivery, rabbitmqctl, reconnected, wipe_vhost},
    message::video,
    rabbit::{until_published, until_reconnected},
};
use lapin::uri::AMQPUri;
use queue::{Error, Queue, Topic};
use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant},
};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Stands between the queue and the broker, and can be cut.
struct Proxy {
    broker: AMQPUri,
    port: u16,
    task: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Not yet letting anyone through.
    async fn new(backend: &Backend) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        Self { broker: backend.url().parse().unwrap(), port, task: None }
    }

    fn url(&self) -> String {
        let mut url = self.broker.clone();
        url.authority.host = "127.0.0.1".to_owned();
        url.authority.port = self.port;
        url.to_string()
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let broker = (self.broker.authority.host.clone(), self.broker.authority.port);
        self.task = Some(tokio::spawn(async move {
            let mut pairs = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let broker = broker.clone();
                pairs.spawn(async move {
                    let mut far = TcpStream::connect(broker).await.unwrap();
                    // An end of either side ends both.
                    let _ = io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }));
    }

    async fn cut(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) async fn a_broker_that_is_absent_at_start_is_waited_for_and_then_found(
    backend: &Backend,
) {
    let mut proxy = Proxy::new(backend).await;
    let queue = Queue::open(&proxy.url()).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    let begun = Instant::now();
    assert!(matches!(queue.publish(&video(1)).await, Err(Error::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(6), "after {:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(matches!(queue.publish(&video(1)).await, Err(Error::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(1), "a long absence costs {:?}", begun.elapsed());
    proxy.mend().await;
    reconnected(&mut consumer).await;
    until_published(&queue, &video(2)).await;
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(2)));
}

pub(crate) async fn a_short_outage_is_bridged_and_the_unsettled_message_comes_again(
    backend: &Backend,
) {
    let mut proxy = Proxy::new(backend).await;
    proxy.mend().await;
    let queue = Queue::open(&proxy.url()).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    queue.publish(&video(1)).await.unwrap();
    let lost = delivery(&mut consumer).await;
    proxy.cut().await;
    let publishing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.publish(&video(2)).await }
    });
    proxy.mend().await;
    publishing.await.unwrap().unwrap();
    until_reconnected(&mut consumer).await;
    assert!(matches!(lost.ack().await, Err(Error::Lost)));
    let again = delivery(&mut consumer).await;
    assert_eq!((again.message(), again.deliveries()), (Ok(&video(1)), 2));
    again.ack().await.unwrap();
    assert_eq!(delivery(&mut consumer).await.message(), Ok(&video(2)));
}

pub(crate) async fn a_killed_broker_loses_no_confirmed_message(backend: &Backend) {
    let kill = env::var("RABBITMQ_KILL").unwrap();
    // With names that were never used: RabbitMQ 3.10 forgets on a kill where it keeps a quorum queue
    // that was deleted and made again minutes before, and never serves it again.
    let vhost = format!("queue-killed-{}", std::process::id());
    let mut url: AMQPUri = backend.url().parse().unwrap();
    assert!(wipe_vhost(&vhost, &url.authority.userinfo.username), "RABBITMQCTL is needed too");
    url.vhost = vhost.clone();
    let queue = Queue::open(&url.to_string()).await.unwrap();
    let mut consumer = queue.consume(Topic::Video).await.unwrap();
    reconnected(&mut consumer).await;
    let mut killing = tokio::process::Command::new("sh").arg("-c").arg(kill).spawn().unwrap();
    let publishing = tokio::spawn(async move {
        let (mut number, mut failed) = (0, 0);
        let mut killed = false;
        while !killed || number < 500 {
            match queue.publish(&video(number)).await {
                Ok(()) => number += 1,
                Err(_) => failed += 1,
            }
            killed = killed || killing.try_wait().unwrap().is_some();
        }
        eprintln!("{number} confirmed, {failed} failed");
        number
    });
    let mut seen = BTreeSet::new();
    let mut confirmed = None;
    tokio::pin!(publishing);
    while confirmed.is_none_or(|confirmed| seen.len() < confirmed as usize) {
        tokio::select! {
            number = &mut publishing, if confirmed.is_none() => confirmed = Some(number.unwrap()),
            delivery = delivery(&mut consumer) => {
                let id = delivery.message().unwrap().id();
                // An ack that was lost brings the message again.
                if delivery.ack().await.is_ok() {
                    seen.insert(id);
                }
            }
        }
    }
    let confirmed = confirmed.unwrap();
    assert!((0..confirmed).all(|number| seen.contains(&video(number).id())));
    assert!(rabbitmqctl(&format!("delete_vhost {vhost}")));
}
