//! Who waits, as MongoDB tells: one step along the index for each owner, however much each has.

use super::{Mongo, bodies, body, number};
use crate::{Error, due::Line};
use domain::{Conversion, ConversionId, Lane, Share, UserName, Waiting};
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};

impl Mongo {
    /// The longest waiting conversion of each owner, due or not.
    pub(crate) async fn firsts(
        &self,
        line: Line<'_>,
        owners: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let steps = [
            doc! { "$match": waiting(line) },
            doc! { "$sort": { "owner": 1, "created_at": 1, "_id": 1 } },
            // Of the index alone: only those are read that stay after the limit.
            doc! { "$group": {
                "_id": "$owner", "first": { "$first": "$_id" }, "at": { "$first": "$created_at" },
            } },
            doc! { "$sort": { "at": 1, "first": 1 } },
            doc! { "$limit": i64::from(owners) },
            doc! { "$lookup": {
                "from": "conversions", "localField": "first", "foreignField": "_id", "as": "found",
            } },
            doc! { "$unwind": "$found" },
            doc! { "$replaceRoot": { "newRoot": "$found" } },
        ];
        let found = self.records("conversions").aggregate(steps).await?;
        found.map_err(Error::from).and_then(|row| async { body(row) }).try_collect().await
    }

    pub(crate) async fn due_of(
        &self,
        line: Line<'_>,
        owner: &UserName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let mut filter = waiting(line);
        filter.insert("owner", owner.as_str());
        filter.insert("not_before", doc! { "$lte": now.as_millisecond() });
        let conversions = self.records("conversions");
        let found = conversions.find(filter).sort(doc! { "created_at": 1, "_id": 1 });
        bodies(found.limit(limit.into()).await?).await
    }

    pub(crate) async fn shares(&self) -> Result<Vec<Share>, Error> {
        let sums = doc! {
            "_id": { "lane": "$lane", "owner": "$owner" },
            "count": { "$sum": 1 },
            "bytes": { "$sum": "$body.video_bytes" },
            "oldest": { "$min": "$created_at" },
        };
        let steps = [doc! { "$match": { "state": "queued" } }, doc! { "$group": sums }];
        let mut found = self.records("conversions").aggregate(steps).await?;
        let mut shares = Vec::new();
        while let Some(row) = found.try_next().await? {
            shares.extend(share(&row));
        }
        Ok(shares)
    }

    /// What was uploaded since, by owner.
    pub(crate) async fn arrivals(
        &self,
        since: ConversionId,
    ) -> Result<Vec<(UserName, Waiting)>, Error> {
        let late =
            doc! { "_id": { "$gte": since.to_string() }, "lane": Lane::Interactive.number() };
        let sums = doc! {
            "_id": "$owner", "count": { "$sum": 1 }, "bytes": { "$sum": "$body.video_bytes" },
        };
        let steps = [doc! { "$match": late }, doc! { "$group": sums }];
        let mut found = self.records("conversions").aggregate(steps).await?;
        let mut arrivals = Vec::new();
        while let Some(row) = found.try_next().await? {
            let owner = row.get_str("_id").ok().and_then(|name| name.parse().ok());
            arrivals.extend(owner.map(|owner| (owner, amount(&row))));
        }
        Ok(arrivals)
    }

    pub(crate) async fn ahead_of(&self, record: &Conversion) -> Result<Waiting, Error> {
        let at = record.created_at.as_millisecond();
        let mut earlier = waiting(Line { lane: record.lane(), without: &[] });
        earlier.insert("owner", record.owner.as_str());
        let same = doc! { "created_at": at, "_id": { "$lt": record.id.to_string() } };
        earlier.insert("$or", [doc! { "created_at": { "$lt": at } }, same]);
        let sums =
            doc! { "_id": null, "count": { "$sum": 1 }, "bytes": { "$sum": "$body.video_bytes" } };
        let steps = [doc! { "$match": earlier }, doc! { "$group": sums }];
        let mut found = self.records("conversions").aggregate(steps).await?;
        Ok(found.try_next().await?.map_or_else(Waiting::default, |row| amount(&row)))
    }
}

fn amount(row: &Document) -> Waiting {
    let number = |key| number(row, key).unwrap_or(0);
    Waiting { count: number("count"), bytes: number("bytes") }
}

fn share(row: &Document) -> Option<Share> {
    let key = row.get_document("_id").ok()?;
    let lane = key.get_i32("lane").ok()?;
    Some(Share {
        owner: key.get_str("owner").ok()?.parse().ok()?,
        lane: Lane::ALL.into_iter().find(|it| it.number() == lane)?,
        waiting: amount(row),
        oldest: Timestamp::from_millisecond(row.get_i64("oldest").ok()?).ok()?,
    })
}

fn waiting(line: Line<'_>) -> Document {
    let mut filter = doc! { "state": "queued", "lane": line.lane.number() };
    if !line.without.is_empty() {
        filter.insert("batch", doc! { "$nin": line.without });
    }
    filter
}
