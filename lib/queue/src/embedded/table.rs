//! The one table: messages that wait, and dead letters. Each method is one statement or one
//! transaction, synced to the disk before it returns.

use crate::{Error, PUBLISH_TIMEOUT, Topic};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use jiff::Timestamp;
use messages::dsl;
use sqlite::{Connection, Pool};
use std::{ops::DerefMut, path::Path, time::Duration};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

diesel::table! {
    messages (id) {
        id -> BigInt,
        topic -> Text,
        message_id -> Text,
        body -> Binary,
        created_at -> BigInt,
        visible_at -> BigInt,
        deliveries -> Integer,
        dead_at -> Nullable<BigInt>,
        reason -> Nullable<Text>,
    }
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pool: Pool,
}

/// A message that waits.
#[derive(Queryable)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) body: Vec<u8>,
    /// Milliseconds since 1970.
    pub(super) visible_at: i64,
}

impl Table {
    pub(super) async fn open(folder: &Path) -> Result<Self, Error> {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| Error::Unavailable(format!("{}: {error}", folder.display())))?;
        let pool = sqlite::open(&folder.join("messages.sqlite"), MIGRATIONS).await;
        Ok(Self { pool: pool.map_err(unavailable)? })
    }

    pub(super) async fn insert(&self, topic: Topic, id: &str, body: &[u8]) -> Result<(), Error> {
        let now = now();
        let row = (
            dsl::topic.eq(topic.name()),
            dsl::message_id.eq(id),
            dsl::body.eq(body),
            dsl::created_at.eq(now),
            dsl::visible_at.eq(now),
        );
        let mut connection = self.connection().await?;
        let inserted = diesel::insert_into(dsl::messages).values(row).execute(&mut connection);
        inserted.await.map(drop).map_err(unavailable)
    }

    /// The row to deliver next: the oldest that is due, or else the one that is due first.
    pub(super) async fn next(&self, topic: Topic, held: Vec<i64>) -> Result<Option<Row>, Error> {
        let mut connection = self.connection().await?;
        let waiting = dsl::messages
            .filter(dsl::topic.eq(topic.name()))
            .filter(dsl::dead_at.is_null())
            .filter(dsl::id.ne_all(held))
            .select((dsl::id, dsl::body, dsl::visible_at));
        let due = waiting.clone().filter(dsl::visible_at.le(now())).order(dsl::id);
        let due: Option<Row> = due.first(&mut connection).await.optional().map_err(unavailable)?;
        if due.is_some() {
            return Ok(due);
        }
        let first = waiting.order((dsl::visible_at, dsl::id)).first(&mut connection).await;
        first.optional().map_err(unavailable)
    }

    /// Counts one more delivery and returns the count; `None` where the row is gone.
    pub(super) async fn count(&self, row: i64) -> Result<Option<u32>, Error> {
        let mut connection = self.connection().await?;
        let count = diesel::update(dsl::messages.find(row))
            .set(dsl::deliveries.eq(dsl::deliveries + 1))
            .returning(dsl::deliveries)
            .get_result::<i32>(&mut connection)
            .await;
        let count = count.optional().map_err(unavailable)?;
        Ok(count.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }

    pub(super) async fn delete(&self, row: i64) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let deleted = diesel::delete(dsl::messages.find(row)).execute(&mut connection).await;
        deleted.map(drop).map_err(unavailable)
    }

    pub(super) async fn postpone(&self, row: i64, by: Duration) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let due = now().saturating_add(millis(by));
        let row = diesel::update(dsl::messages.find(row)).set(dsl::visible_at.eq(due));
        row.execute(&mut connection).await.map(drop).map_err(unavailable)
    }

    /// Drops the `mp3` messages that are older than `age` or not among the newest `most`.
    pub(super) async fn trim_mp3(&self, most: u32, age: Duration) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let waiting =
            dsl::messages.filter(dsl::topic.eq(Topic::Mp3.name())).filter(dsl::dead_at.is_null());
        let newest_beyond = waiting.order(dsl::id.desc()).offset(i64::from(most)).select(dsl::id);
        let beyond = newest_beyond.first::<i64>(&mut connection).await.optional();
        // Ids follow the time, so the first row tells whether any is too old, and no scan is needed.
        let oldest = waiting.order(dsl::id).select(dsl::created_at);
        let oldest = oldest.first::<i64>(&mut connection).await.optional().map_err(unavailable)?;
        let born = now().saturating_sub(millis(age));
        if let Some(beyond) = beyond.map_err(unavailable)? {
            let deleted = diesel::delete(waiting.filter(dsl::id.le(beyond)));
            deleted.execute(&mut connection).await.map_err(unavailable)?;
        }
        if oldest.is_some_and(|oldest| oldest < born) {
            let deleted = diesel::delete(waiting.filter(dsl::created_at.lt(born)));
            deleted.execute(&mut connection).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// The pool waits for up to 30 s, a publisher must not.
    pub(super) async fn connection(&self) -> Result<impl DerefMut<Target = Connection>, Error> {
        let connection = tokio::time::timeout(PUBLISH_TIMEOUT, self.pool.get());
        connection.await.map_err(unavailable)?.map_err(unavailable)
    }
}

pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("messages.sqlite: {error}"))
}
