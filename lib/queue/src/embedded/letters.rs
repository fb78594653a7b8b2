//! The dead letters in the table: rows that say when they died, and why.

use super::table::{Table, messages::dsl, now, unavailable};
use crate::{DeadLetter, Error, Topic, letter::IN_SIGHT};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use jiff::Timestamp;

/// A dead letter's row.
#[derive(Queryable)]
pub(super) struct Dead {
    pub(super) id: i64,
    pub(super) message_id: String,
    pub(super) body: Vec<u8>,
    deliveries: i32,
    /// Milliseconds since 1970.
    dead_at: Option<i64>,
    reason: Option<String>,
}

impl Dead {
    pub(super) fn letter(self, topic: Topic) -> DeadLetter {
        DeadLetter {
            reason: self.reason.unwrap_or_default(),
            at: self.dead_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            deliveries: u32::try_from(self.deliveries).unwrap_or(0),
            ..DeadLetter::new(topic, Some(&self.message_id), &self.body)
        }
    }
}

impl Table {
    /// Makes a dead letter of the row, and drops the topic's oldest dead letters beyond `most`.
    pub(super) async fn bury(
        &self,
        row: i64,
        topic: Topic,
        reason: &str,
        most: u32,
    ) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let buried = diesel::update(dsl::messages.find(row))
            .set((dsl::dead_at.eq(now()), dsl::reason.eq(reason)));
        buried.execute(&mut connection).await.map_err(unavailable)?;
        let dead =
            dsl::messages.filter(dsl::topic.eq(topic.name())).filter(dsl::dead_at.is_not_null());
        let newest_beyond = dead.order(dsl::id.desc()).offset(i64::from(most)).select(dsl::id);
        let beyond = newest_beyond.first::<i64>(&mut connection).await.optional();
        if let Some(beyond) = beyond.map_err(unavailable)? {
            let deleted = diesel::delete(dead.filter(dsl::id.le(beyond)));
            deleted.execute(&mut connection).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// The topic's oldest dead letters.
    pub(super) async fn dead(&self, topic: Topic) -> Result<Vec<Dead>, Error> {
        let mut connection = self.connection().await?;
        let dead = dsl::messages
            .filter(dsl::topic.eq(topic.name()))
            .filter(dsl::dead_at.is_not_null())
            .order(dsl::id)
            .limit(IN_SIGHT.into())
            .select((
                dsl::id,
                dsl::message_id,
                dsl::body,
                dsl::deliveries,
                dsl::dead_at,
                dsl::reason,
            ));
        dead.load(&mut connection).await.map_err(unavailable)
    }

    /// Lets a dead letter wait again, due now, and deletes its copies.
    pub(super) async fn revive(&self, row: i64, copies: &[i64]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let both = connection.transaction(async |connection| {
            let dead = dsl::messages.find(row).filter(dsl::dead_at.is_not_null());
            let revived = diesel::update(dead).set((
                dsl::dead_at.eq(None::<i64>),
                dsl::reason.eq(None::<String>),
                dsl::deliveries.eq(0),
                dsl::visible_at.eq(now()),
            ));
            revived.execute(connection).await?;
            let copies = dsl::messages.filter(dsl::id.eq_any(copies));
            diesel::delete(copies).execute(connection).await
        });
        both.await.map(drop).map_err(|error: diesel::result::Error| unavailable(error))
    }

    /// Deletes dead letters.
    pub(super) async fn remove_dead(&self, rows: &[i64]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let dead = dsl::messages.filter(dsl::id.eq_any(rows)).filter(dsl::dead_at.is_not_null());
        diesel::delete(dead).execute(&mut connection).await.map(drop).map_err(unavailable)
    }
}
