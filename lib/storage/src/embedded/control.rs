//! Batches and the dispatching switch in SQLite.

use super::{
    Embedded, OPEN, if_new, json, parse, parse_all,
    schema::{control, conversions},
};
use crate::{
    Error,
    control::{AFTER_BATCHES, BATCH},
};
use diesel::sql_types::Bool;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use domain::{Batch, BatchId, Conversion, ConversionId, State};
use serde::{Serialize, de::DeserializeOwned};

impl Embedded {
    pub(crate) async fn control<T: DeserializeOwned>(
        &self,
        id: &str,
    ) -> Result<Option<(i64, T)>, Error> {
        let query = control::table.find(id).select((control::version, control::body));
        let row: Option<(i64, String)> =
            query.first(&mut self.connection().await?).await.optional()?;
        row.map(|(version, body)| Ok((version, parse(&body)?))).transpose()
    }

    /// Writes where nobody else has since `version` was read; none is for what is not there yet.
    pub(crate) async fn put_control(
        &self,
        id: &str,
        version: Option<i64>,
        open: bool,
        value: &impl Serialize,
    ) -> Result<bool, Error> {
        let row = (
            control::version.eq(version.map_or(0, |version| version + 1)),
            control::open.eq(open),
            control::body.eq(json(value)?),
        );
        let mut connection = self.connection().await?;
        let Some(version) = version else {
            let new = (control::id.eq(id), row);
            return if_new(
                diesel::insert_into(control::table).values(new).execute(&mut connection).await,
            );
        };
        let read = control::table.find(id).filter(control::version.eq(version));
        Ok(diesel::update(read).set(row).execute(&mut connection).await? == 1)
    }

    pub(crate) async fn batches(&self, open: bool) -> Result<Vec<Batch>, Error> {
        let all = control::table.select(control::body).order(control::id);
        let all =
            all.filter(control::id.ge(BATCH)).filter(control::id.lt(AFTER_BATCHES)).into_boxed();
        // To the letter of the partial index.
        let query = if open { all.filter(diesel::dsl::sql::<Bool>("open")) } else { all };
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn walk(
        &self,
        after: Option<ConversionId>,
        before: ConversionId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let query = conversions::table
            .filter(conversions::id.gt(after))
            .filter(conversions::id.lt(before.to_string()))
            .order(conversions::id)
            .limit(limit.into())
            .select(conversions::body);
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn count_of_batch(&self, batch: &BatchId, state: State) -> Result<u64, Error> {
        let query = conversions::table
            .filter(conversions::batch.eq(batch.as_str()))
            .filter(conversions::state.eq(state.as_str()))
            .count();
        let count: i64 = query.get_result(&mut self.connection().await?).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(crate) async fn open_of_batch(
        &self,
        batch: &BatchId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let query = conversions::table
            .filter(conversions::batch.eq(batch.as_str()))
            .filter(conversions::state.eq_any(OPEN))
            .limit(limit.into())
            .select(conversions::body);
        parse_all(query.load(&mut self.connection().await?).await?)
    }
}
