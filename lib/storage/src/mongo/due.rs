//! Who waits, as MongoDB tells: one step along the index for each owner, however much each has.

use super::{Mongo, bodies, body};
use crate::{Error, due::Line};
use domain::{Conversion, UserName};
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
            doc! { "$group": { "_id": "$owner", "first": { "$first": "$$ROOT" } } },
            doc! { "$replaceRoot": { "newRoot": "$first" } },
            doc! { "$sort": { "created_at": 1, "_id": 1 } },
            doc! { "$limit": i64::from(owners) },
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
}

fn waiting(line: Line<'_>) -> Document {
    let mut filter = doc! { "state": "queued", "lane": line.lane.number() };
    if !line.without.is_empty() {
        filter.insert("batch", doc! { "$nin": line.without });
    }
    filter
}
