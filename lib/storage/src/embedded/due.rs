//! Who waits, as SQLite tells: one step along the index for each owner, however much each has.

use super::{Embedded, parse_all};
use crate::{Error, due::Line};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::RunQueryDsl;
use domain::{Conversion, ConversionId, Lane, Share, UserName, Waiting};
use jiff::Timestamp;

/// `?1` is the lane, `?2` a JSON array of the batches that are left out.
const WAITING: &str = "state = 'queued' AND lane = ?1 \
    AND (batch IS NULL OR batch NOT IN (SELECT value FROM json_each(?2)))";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    body: String,
}

/// What waits, of whom and where it was asked for.
#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = Integer)]
    lane: i32,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    oldest: i64,
}

impl Sum {
    fn waiting(&self) -> Waiting {
        Waiting { count: self.count.unsigned_abs(), bytes: self.bytes.unsigned_abs() }
    }

    fn share(&self) -> Option<Share> {
        Some(Share {
            owner: self.owner.parse().ok()?,
            lane: Lane::ALL.into_iter().find(|it| it.number() == self.lane)?,
            waiting: self.waiting(),
            oldest: Timestamp::from_millisecond(self.oldest).ok()?,
        })
    }
}

const SUMS: &str = "SELECT lane, owner, COUNT(*) AS count, SUM(video_bytes) AS bytes, \
    MIN(created_at) AS oldest FROM conversions INDEXED BY conversions_waiting \
    WHERE state = 'queued'";

fn parsed(rows: Vec<Row>) -> Result<Vec<Conversion>, Error> {
    parse_all(rows.into_iter().map(|row| row.body).collect())
}

fn without(line: Line<'_>) -> String {
    serde_json::json!(line.without).to_string()
}

impl Embedded {
    /// The longest waiting conversion of each owner, due or not.
    pub(crate) async fn firsts(
        &self,
        line: Line<'_>,
        owners: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let query = sql_query(format!(
            "WITH RECURSIVE owners(owner) AS (
                SELECT MIN(owner) FROM conversions WHERE {WAITING}
                UNION ALL
                SELECT (SELECT MIN(owner) FROM conversions WHERE {WAITING} AND owner > owners.owner)
                FROM owners WHERE owners.owner IS NOT NULL
            )
            SELECT first.body FROM owners CROSS JOIN conversions AS first ON first.id = (
                SELECT id FROM conversions WHERE {WAITING} AND owner = owners.owner
                ORDER BY created_at, id LIMIT 1
            )
            ORDER BY first.created_at, first.id LIMIT ?3"
        ));
        let query = query
            .bind::<Integer, _>(line.lane.number())
            .bind::<Text, _>(without(line))
            .bind::<BigInt, _>(i64::from(owners));
        parsed(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn due_of(
        &self,
        line: Line<'_>,
        owner: &UserName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let query = sql_query(format!(
            "SELECT body FROM conversions WHERE {WAITING} AND owner = ?3 AND not_before <= ?4
            ORDER BY created_at, id LIMIT ?5"
        ));
        let query = query
            .bind::<Integer, _>(line.lane.number())
            .bind::<Text, _>(without(line))
            .bind::<Text, _>(owner.as_str())
            .bind::<BigInt, _>(now.as_millisecond())
            .bind::<BigInt, _>(i64::from(limit));
        parsed(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn shares(&self) -> Result<Vec<Share>, Error> {
        let query = sql_query(format!("{SUMS} GROUP BY lane, owner"));
        let sums: Vec<Sum> = query.load(&mut self.connection().await?).await?;
        Ok(sums.iter().filter_map(Sum::share).collect())
    }

    /// What was uploaded since, by owner.
    pub(crate) async fn arrivals(
        &self,
        since: ConversionId,
    ) -> Result<Vec<(UserName, Waiting)>, Error> {
        let query = sql_query(
            "SELECT lane, owner, COUNT(*) AS count, SUM(video_bytes) AS bytes, MIN(created_at) AS oldest
            FROM conversions WHERE id >= ?1 AND +lane = ?2 GROUP BY +owner",
        );
        let query =
            query.bind::<Text, _>(since.to_string()).bind::<Integer, _>(Lane::Interactive.number());
        let sums: Vec<Sum> = query.load(&mut self.connection().await?).await?;
        Ok(sums.iter().filter_map(|sum| Some((sum.owner.parse().ok()?, sum.waiting()))).collect())
    }

    pub(crate) async fn ahead_of(&self, record: &Conversion) -> Result<Waiting, Error> {
        let query = sql_query(format!(
            "{SUMS} AND lane = ?1 AND owner = ?2 AND (created_at, id) < (?3, ?4) \
            GROUP BY lane, owner"
        ));
        let query = query
            .bind::<Integer, _>(record.lane().number())
            .bind::<Text, _>(record.owner.as_str())
            .bind::<BigInt, _>(record.created_at.as_millisecond())
            .bind::<Text, _>(record.id.to_string());
        let sums: Vec<Sum> = query.load(&mut self.connection().await?).await?;
        Ok(sums.as_slice().first().map_or_else(Waiting::default, Sum::waiting))
    }
}
