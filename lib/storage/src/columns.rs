//! What both back ends keep beside a conversion's record so that it can be found: the one list of
//! things that are searched for.

use diesel::{AsChangeset, Insertable};
use domain::{Conversion, Video};
use serde::Serialize;

/// The searchable part of a conversion, made from the record on every write.
#[derive(Debug, Serialize, Insertable, AsChangeset)]
#[diesel(table_name = crate::embedded::schema::conversions, treat_none_as_null = true)]
pub(crate) struct Columns {
    pub(crate) owner: String,
    pub(crate) key: Option<String>,
    pub(crate) video: String,
    pub(crate) mp3: Option<String>,
    pub(crate) state: &'static str,
    /// Milliseconds since 1970.
    pub(crate) not_before: i64,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
    /// Who goes first.
    pub(crate) lane: i32,
    pub(crate) batch: Option<String>,
    pub(crate) announced: bool,
    pub(crate) published: bool,
    /// Of the MP3 that is there.
    pub(crate) bytes: i64,
    /// When that goes, in milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

/// The searchable part of a video.
#[derive(Debug, Serialize, Insertable, AsChangeset)]
#[diesel(table_name = crate::embedded::schema::videos, treat_none_as_null = true)]
pub(crate) struct VideoColumns {
    /// Nobody, once it is deleted: so no list and no sum of its owner's has it.
    pub(crate) owner: String,
    pub(crate) length: i64,
    /// Milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

impl From<&Video> for VideoColumns {
    fn from(video: &Video) -> Self {
        let owner = if video.deleted { "" } else { video.owner.as_str() };
        Self {
            owner: owner.to_owned(),
            length: i64::try_from(video.length).unwrap_or(i64::MAX),
            expires_at: video.expires_at.map(|at| at.as_millisecond()),
        }
    }
}

impl From<&Conversion> for Columns {
    fn from(record: &Conversion) -> Self {
        let stored = record.mp3.as_ref().filter(|_| !record.mp3_expired);
        Self {
            owner: record.owner.to_string(),
            key: record.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
            video: record.video.to_string(),
            mp3: record.mp3.as_ref().map(|mp3| mp3.id.to_string()),
            state: record.state.as_str(),
            not_before: record.not_before.as_millisecond(),
            created_at: record.created_at.as_millisecond(),
            lane: record.lane().number(),
            batch: record.batch.as_ref().map(ToString::to_string),
            announced: record.announced,
            published: record.published,
            bytes: stored.map_or(0, |mp3| i64::try_from(mp3.length).unwrap_or(i64::MAX)),
            expires_at: stored.and(record.mp3_expires_at).map(|at| at.as_millisecond()),
        }
    }
}
