//! The back ends under test, each behind the same few operations. RabbitMQ takes part when
//! `AMQP_TEST_VHOST_URL` is the address of a virtual host that tests may empty, or when `AMQP_URL`
//! is a broker's address without one and `RABBITMQCTL` the command that makes virtual hosts there.

use crate::message::mp3;
use diesel::{Connection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types};
use lapin::{
    BasicProperties, Channel, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use queue::{Consumer, Delivery, Item, Queue, Topic};
use std::{env, sync::LazyLock, time::Duration};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// What must happen happens within this time, on a slow machine too.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const VHOST: &str = "queue-contract";

/// One test at a time has the virtual host.
static TURN: Mutex<()> = Mutex::const_new(());
static VHOST_URL: LazyLock<String> = LazyLock::new(vhost);

pub(crate) enum Backend {
    Embedded(TempDir),
    Rabbit { url: String, channel: Channel, _turn: MutexGuard<'static, ()> },
}

#[derive(diesel::QueryableByName)]
struct Dead {
    #[diesel(sql_type = sql_types::Binary)]
    body: Vec<u8>,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = sql_types::BigInt)]
    count: i64,
}

impl Backend {
    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    /// The broker's virtual host without any queue.
    pub(crate) async fn rabbit() -> Self {
        let turn = TURN.lock().await;
        let url = VHOST_URL.clone();
        let connection = lapin::Connection::connect(&url, ConnectionProperties::default());
        let channel = connection.await.unwrap().create_channel().await.unwrap();
        for topic in Topic::ALL {
            for suffix in ["", ".dead", ".retry"] {
                let queue = format!("{topic}{suffix}").into();
                channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
            }
        }
        Self::Rabbit { url, channel, _turn: turn }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Embedded(folder) => format!("file:{}", folder.path().display()),
            Self::Rabbit { url, .. } => url.clone(),
        }
    }

    /// A connection past the queue's own, to do as foreign programs do.
    pub(crate) fn channel(&self) -> &Channel {
        match self {
            Self::Rabbit { channel, .. } => channel,
            Self::Embedded(_) => panic!("SQLite has no channel"),
        }
    }

    pub(crate) async fn open(&self) -> Queue {
        Queue::open(&self.url()).await.unwrap()
    }

    /// The topic's one dead letter and its reason.
    pub(crate) async fn dead_letter(&self, topic: Topic) -> (Vec<u8>, String) {
        match self {
            Self::Embedded(_) => {
                let sql = format!(
                    "SELECT body, reason FROM messages WHERE topic = '{topic}' AND dead_at IS NOT NULL"
                );
                let dead = diesel::sql_query(sql).get_result::<Dead>(&mut self.sqlite()).unwrap();
                (dead.body, dead.reason)
            }
            Self::Rabbit { channel, .. } => {
                let queue = format!("{topic}.dead").into();
                let got = channel.basic_get(queue, BasicGetOptions { no_ack: true }).await.unwrap();
                let delivery = got.unwrap().delivery;
                let headers = delivery.properties.headers().clone().unwrap();
                let Some(AMQPValue::LongString(reason)) = headers.inner().get("x-reason") else {
                    panic!("no x-reason in {headers:?}");
                };
                (delivery.data, reason.to_string())
            }
        }
    }

    /// Puts `count` messages into `mp3` as fast as it can be done.
    pub(crate) async fn fill_mp3(&self, count: u32) {
        drop(self.open().await.publish(&mp3(0)).await);
        match self {
            Self::Embedded(_) => {
                let sql = format!(
                    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
                     INSERT INTO messages (topic, message_id, body, created_at, visible_at) \
                     SELECT topic, i, body, created_at, visible_at FROM messages, n"
                );
                self.sqlite().batch_execute(&sql).unwrap();
            }
            Self::Rabbit { channel, .. } => {
                for _ in 1..count {
                    let options = BasicPublishOptions::default();
                    let properties = BasicProperties::default();
                    let sent =
                        channel.basic_publish("".into(), "mp3".into(), options, b"{}", properties);
                    drop(sent.await.unwrap());
                }
            }
        }
    }

    /// Waits until `mp3` holds exactly so many.
    pub(crate) async fn mp3_count_becomes(&self, wanted: u32) {
        let became = async {
            while self.mp3_count().await != i64::from(wanted) {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(LIMIT, became).await;
        assert!(in_time.is_ok(), "mp3 holds {}", self.mp3_count().await);
    }

    async fn mp3_count(&self) -> i64 {
        match self {
            Self::Embedded(_) => {
                let sql = "SELECT count(*) AS count FROM messages WHERE topic = 'mp3'";
                diesel::sql_query(sql).get_result::<Count>(&mut self.sqlite()).unwrap().count
            }
            Self::Rabbit { channel, .. } => {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                let queue =
                    channel.queue_declare("mp3".into(), options, FieldTable::default()).await;
                queue.unwrap().message_count().into()
            }
        }
    }

    fn sqlite(&self) -> SqliteConnection {
        match self {
            Self::Embedded(folder) => {
                let file = folder.path().join("messages.sqlite");
                SqliteConnection::establish(file.to_str().unwrap()).unwrap()
            }
            Self::Rabbit { .. } => panic!("RabbitMQ has no file"),
        }
    }
}

/// Runs the command that administers the broker; false where there is none.
pub(crate) fn rabbitmqctl(arguments: &str) -> bool {
    let Ok(command) = env::var("RABBITMQCTL") else {
        return false;
    };
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("{command} -q {arguments}")).status().unwrap().success()
}

/// Deletes the virtual host with all its queues, where there is one, and makes it again.
pub(crate) fn wipe_vhost(vhost: &str, user: &str) -> bool {
    rabbitmqctl(&format!("delete_vhost {vhost} 2>&1"));
    rabbitmqctl(&format!("add_vhost {vhost}"))
        && rabbitmqctl(&format!("set_permissions -p {vhost} {user} '.*' '.*' '.*'"))
}

pub(crate) fn rabbit_is_absent() -> bool {
    let missing = |name| env::var(name).is_err();
    missing("AMQP_TEST_VHOST_URL") && (missing("AMQP_URL") || missing("RABBITMQCTL"))
}

fn vhost() -> String {
    if let Ok(url) = env::var("AMQP_TEST_VHOST_URL") {
        return url;
    }
    let url = env::var("AMQP_URL").unwrap();
    let user: lapin::uri::AMQPUri = url.parse().unwrap();
    assert!(wipe_vhost(VHOST, &user.authority.userinfo.username), "{VHOST} cannot be made");
    format!("{}/{VHOST}", url.trim_end_matches('/'))
}

pub(crate) async fn item(consumer: &mut Consumer) -> Item {
    tokio::time::timeout(LIMIT, consumer.next()).await.unwrap()
}

pub(crate) async fn reconnected(consumer: &mut Consumer) {
    let item = item(consumer).await;
    assert!(matches!(item, Item::Reconnected), "{item:?}");
}

/// The next delivery, whatever the connection does.
pub(crate) async fn delivery(consumer: &mut Consumer) -> Delivery {
    loop {
        if let Item::Delivery(delivery) = item(consumer).await {
            return delivery;
        }
    }
}
