//! The end of an upload: all of its records in one transaction, so that the disk is waited for once.

use super::{
    Embedded, if_new, json,
    schema::{conversions, pending, videos},
};
use crate::{
    Error,
    blob::Name,
    columns::{Columns, VideoColumns},
};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use domain::{Conversion, Video};

impl Embedded {
    /// Adds the records of an upload and takes its marker away. False, and nothing done, where the
    /// conversion is there already.
    pub(crate) async fn accept(
        &self,
        video: &Video,
        conversion: &Conversion,
    ) -> Result<bool, Error> {
        let marker = Name::Video(video.id).id();
        let of_video = (
            videos::id.eq(video.id.to_string()),
            VideoColumns::from(video),
            videos::body.eq(json(video)?),
        );
        let of_conversion = (
            conversions::id.eq(conversion.id.to_string()),
            conversions::version.eq(0),
            Columns::from(conversion),
            conversions::body.eq(json(conversion)?),
        );
        let mut connection = self.connection().await?;
        let accepted = connection.spawn_blocking(move |connection| {
            connection.immediate_transaction(|connection| {
                diesel::insert_or_ignore_into(videos::table)
                    .values(of_video)
                    .execute(connection)?;
                diesel::insert_into(conversions::table)
                    .values(of_conversion)
                    .execute(connection)?;
                diesel::delete(pending::table.find(marker)).execute(connection)
            })
        });
        if_new(accepted.await)
    }
}
