//! The one connection and channel that publish, kept up by a task. Publishers share it and wait for
//! their confirms outside any lock; after any fault it is thrown away and built anew.

use super::{
    Broker,
    link::{self, Backoff},
    topology::{self, Queue},
};
use crate::{Error, PUBLISH_TIMEOUT};
use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use std::sync::Arc;
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) struct Publisher {
    broker: Arc<Broker>,
    state: Arc<watch::Sender<State>>,
    /// Ends the task.
    _stop: DropGuard,
}

enum State {
    Up(Arc<Link>),
    Down { since: Instant, why: String },
}

struct Link {
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    pub(super) fn start(broker: Arc<Broker>) -> Self {
        let state = Arc::new(watch::Sender::new(State::down("not yet connected".to_owned())));
        let stop = CancellationToken::new();
        let keep_up =
            stop.clone().run_until_cancelled_owned(keep_up(broker.clone(), state.clone()));
        tokio::spawn(keep_up);
        Self { broker, state, _stop: stop.drop_guard() }
    }

    /// Sends and waits for the confirm. A connection that breaks meanwhile is waited for and the
    /// message sent again, so that it may arrive twice.
    pub(super) async fn send(
        &self,
        queue: Queue,
        body: &[u8],
        properties: BasicProperties,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut declared = false;
        loop {
            let link = self.link(deadline).await?;
            let sent = time::timeout_at(deadline, link.send(queue, body, properties.clone())).await;
            match sent {
                Ok(Ok(Confirmation::Ack(None))) => return Ok(()),
                // Returned, as the queue is gone. Note that the broker acks what it returns.
                Ok(Ok(Confirmation::Ack(Some(_)))) if !declared => {
                    declared = true;
                    let again = topology::declare(&link.connection, queue, &self.broker.warned);
                    match time::timeout_at(deadline, again).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            return Err(Error::Unroutable(format!("{}: {error}", queue.name())));
                        }
                        Err(_) => return Err(self.give_up(&link)),
                    }
                }
                Ok(Ok(Confirmation::Ack(Some(_)))) => return Err(Error::Unroutable(queue.name())),
                Ok(Ok(Confirmation::Nack(_))) => return Err(Error::Refused(queue.name())),
                // Not in confirm mode: a channel that we did not make.
                Ok(Ok(Confirmation::NotRequested)) => {
                    self.drop_link(&link, "no confirms".to_owned())
                }
                Ok(Err(error)) => self.drop_link(&link, error.to_string()),
                Err(_) => return Err(self.give_up(&link)),
            }
        }
    }

    /// The connection, waited for until `deadline`, but no longer than 5 s after it went down: in a
    /// long absence of the broker nobody waits.
    async fn link(&self, deadline: Instant) -> Result<Arc<Link>, Error> {
        let mut state = self.state.subscribe();
        loop {
            let (since, why) = match &*state.borrow_and_update() {
                State::Up(link) => return Ok(link.clone()),
                State::Down { since, why } => (*since, why.clone()),
            };
            let until = deadline.min(since + PUBLISH_TIMEOUT);
            match time::timeout_at(until, state.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(Error::Unavailable(why)),
            }
        }
    }

    fn give_up(&self, link: &Arc<Link>) -> Error {
        let why = format!("no confirm within {} s", PUBLISH_TIMEOUT.as_secs());
        // A broker that is short of memory or disk says so, and confirms once it has some.
        if !link.connection.status().blocked() {
            self.drop_link(link, why.clone());
        }
        Error::Unavailable(why)
    }

    /// Takes `link` away, unless another has already replaced it.
    fn drop_link(&self, link: &Arc<Link>, why: String) {
        self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(current) if Arc::ptr_eq(current, link));
            if is_current {
                *state = State::down(why);
            }
            is_current
        });
    }
}

impl State {
    fn down(why: String) -> Self {
        Self::Down { since: Instant::now(), why }
    }
}

impl Link {
    async fn open(broker: &Broker) -> lapin::Result<Self> {
        let connection = link::connect(&broker.uri, "audio-converter publisher").await?;
        let channel = link::set_up(async {
            for queue in Queue::AT_START {
                topology::declare(&connection, queue, &broker.warned).await?;
            }
            let channel = connection.create_channel().await?;
            // The broker confirms each message once a majority has it on disk.
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        });
        let channel = channel.await?;
        Ok(Self { connection, channel })
    }

    async fn send(
        &self,
        queue: Queue,
        body: &[u8],
        properties: BasicProperties,
    ) -> lapin::Result<Confirmation> {
        // Mandatory: without a queue the message comes back, instead of vanishing with a confirm.
        // Immediate is not supported by RabbitMQ.
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        // The default exchange routes by the queue's name and cannot be deleted.
        let name = queue.name().into();
        self.channel.basic_publish("".into(), name, options, body, properties).await?.await
    }

    fn is_up(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

/// Connects, and connects again whenever the link is lost or was dropped by a publisher.
async fn keep_up(broker: Arc<Broker>, state: Arc<watch::Sender<State>>) {
    let mut watched = state.subscribe();
    let mut backoff = Backoff::new();
    let mut warned = false;
    loop {
        match Link::open(&broker).await {
            Ok(link) => {
                tracing::info!("connected to the broker to publish");
                (backoff, warned) = (Backoff::new(), false);
                let link = Arc::new(link);
                let mut events = link.connection.events_listener();
                state.send_replace(State::Up(link.clone()));
                // Events tell of channels that were closed on purpose too, so that each is only the
                // occasion to look.
                while link.is_up() && matches!(&*watched.borrow_and_update(), State::Up(_)) {
                    tokio::select! {
                        _ = events.next() => {}
                        _ = watched.changed() => {}
                    }
                }
                state.send_if_modified(|state| {
                    let up = matches!(state, State::Up(_));
                    if up {
                        *state = State::down("the connection was lost".to_owned());
                    }
                    up
                });
            }
            Err(error) => {
                if !warned {
                    tracing::warn!(%error, "cannot connect to the broker, trying again");
                    warned = true;
                }
                state.send_modify(|state| {
                    if let State::Down { why, .. } = state {
                        *why = error.to_string();
                    }
                });
            }
        }
        backoff.wait().await;
    }
}
