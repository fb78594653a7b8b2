//! Batches and the dispatching switch in the collection `control`, and what finds a batch's conversions.

use super::{Mongo, bodies, body, bson, if_new};
use crate::{
    Error,
    control::{AFTER_BATCHES, BATCH},
};
use domain::{Batch, BatchId, Conversion, ConversionId, State};
use mongodb::bson::doc;
use serde::{Serialize, de::DeserializeOwned};

impl Mongo {
    pub(crate) async fn control<T: DeserializeOwned>(
        &self,
        id: &str,
    ) -> Result<Option<(i64, T)>, Error> {
        let Some(row) = self.records("control").find_one(doc! { "_id": id }).await? else {
            return Ok(None);
        };
        let version = row.get_i64("version").map_err(|error| Error::Corrupt(error.to_string()))?;
        Ok(Some((version, body(row)?)))
    }

    /// Writes where nobody else has since `version` was read; none is for what is not there yet.
    pub(crate) async fn put_control(
        &self,
        id: &str,
        version: Option<i64>,
        open: bool,
        value: &impl Serialize,
    ) -> Result<bool, Error> {
        let next = version.map_or(0, |version| version + 1);
        let row = doc! { "_id": id, "version": next, "open": open, "body": bson(value)? };
        let control = self.records("control");
        let Some(version) = version else {
            return if_new(control.insert_one(row).await);
        };
        let read = doc! { "_id": id, "version": version };
        Ok(control.replace_one(read, row).await?.matched_count == 1)
    }

    pub(crate) async fn batches(&self, open: bool) -> Result<Vec<Batch>, Error> {
        let mut filter = doc! { "_id": { "$gte": BATCH, "$lt": AFTER_BATCHES } };
        if open {
            filter.insert("open", true);
        }
        bodies(self.records("control").find(filter).sort(doc! { "_id": 1 }).await?).await
    }

    pub(crate) async fn walk(
        &self,
        after: Option<ConversionId>,
        before: ConversionId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let ids = doc! { "_id": { "$gt": after, "$lt": before.to_string() } };
        let conversions = self.records("conversions");
        let found = conversions.find(ids).sort(doc! { "_id": 1 });
        bodies(found.limit(limit.into()).await?).await
    }

    pub(crate) async fn count_of_batch(&self, batch: &BatchId, state: State) -> Result<u64, Error> {
        let those = doc! { "batch": batch.as_str(), "state": state.as_str() };
        Ok(self.records("conversions").count_documents(those).await?)
    }

    pub(crate) async fn open_of_batch(
        &self,
        batch: &BatchId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let open = doc! { "batch": batch.as_str(), "state": { "$in": ["queued", "running"] } };
        bodies(self.records("conversions").find(open).limit(limit.into()).await?).await
    }
}
