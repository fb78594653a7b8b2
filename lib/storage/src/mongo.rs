//! Storage on a cluster: records in collections, files as GridFS.
//!
//! Records are written with majority and journal and read from the primary. Works on a standalone
//! server and on a replica set: no transaction is used anywhere.

mod beside;
mod control;
mod due;
mod examine;
mod foreign;
mod gridfs;
mod indexes;
mod rights;

pub(crate) use examine::examine;
pub(crate) use gridfs::{Reader, Writer};

use crate::{
    Backlog, Error, Page, Usage, Which, Work,
    blob::Name,
    columns::{Columns, VideoColumns},
};
use domain::{Conversion, ConversionId, Lane, Mp3Id, Pending, UserName, Video, VideoId};
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    Client, Collection, Database,
    bson::{Bson, Document, deserialize_from_bson, doc, serialize_to_bson, serialize_to_document},
    error::{ErrorKind, WriteFailure},
    options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, time::Duration};

/// A database with the collections `videos`, `conversions` and `pending` and the GridFS buckets
/// `videos` and `mp3s`.
#[derive(Clone)]
pub struct Mongo {
    database: Database,
}

/// A request that finds no server in this time fails; its caller tries again or says so.
const PATIENCE: Duration = Duration::from_secs(5);

impl Mongo {
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let store = Self::connect(url).await?;
        store.make_indexes().await?;
        Ok(store)
    }

    async fn connect(url: &str) -> Result<Self, Error> {
        let mut options = ClientOptions::parse(url).await.map_err(|error| match *error.kind {
            // Of `mongodb+srv://`, whose servers a name server tells.
            ErrorKind::DnsResolve { .. } => Error::Unavailable(error.to_string()),
            _ => Error::Address(error.to_string()),
        })?;
        let Some(name) = options.default_database.clone() else {
            return Err(Error::Address("the mongodb:// address must name a database".to_owned()));
        };
        options.app_name.get_or_insert_with(|| "audio-converter".to_owned());
        options.server_selection_timeout = Some(PATIENCE);
        options.connect_timeout = Some(PATIENCE);
        // Whatever the address says: a secondary may tell of a state that has passed.
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        // A 2xx means durable: written by a majority and in its journal. Without a majority that is
        // an error, not a wait for ever.
        options.write_concern = Some(
            WriteConcern::builder()
                .w(Acknowledgment::Majority)
                .journal(true)
                .w_timeout(PATIENCE)
                .build(),
        );
        let client =
            Client::with_options(options).map_err(|error| Error::Address(error.to_string()))?;
        Ok(Self { database: client.database(&name) })
    }

    fn records(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    pub(crate) async fn mark(&self, marker: &Pending) -> Result<(), Error> {
        self.records("pending").insert_one(marker_document(marker)?).await?;
        Ok(())
    }

    pub(crate) async fn touch(&self, marker: &Pending) -> Result<bool, Error> {
        let id = doc! { "_id": Name::from(marker.kind).id() };
        let done = self.records("pending").replace_one(id, marker_document(marker)?).await?;
        Ok(done.matched_count == 1)
    }

    pub(crate) async fn forget(&self, name: Name) -> Result<(), Error> {
        self.records("pending").delete_one(doc! { "_id": name.id() }).await?;
        Ok(())
    }

    pub(crate) async fn pending(&self, limit: u32) -> Result<Vec<Pending>, Error> {
        let collection = self.records("pending");
        bodies(collection.find(doc! {}).sort(doc! { "touched_at": 1 }).limit(limit.into()).await?)
            .await
    }

    pub(crate) async fn insert_video(&self, video: &Video) -> Result<(), Error> {
        if_new(self.records("videos").insert_one(video_row(video)?).await).map(drop)
    }

    pub(crate) async fn replace_video(&self, video: &Video) -> Result<(), Error> {
        let old = doc! { "_id": video.id.to_string() };
        self.records("videos").replace_one(old, video_row(video)?).await?;
        Ok(())
    }

    pub(crate) async fn expired_videos(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Video>, Error> {
        let videos = self.records("videos");
        let expired = videos.find(expired_by(now)).sort(doc! { "expires_at": 1 });
        bodies(expired.limit(limit.into()).await?).await
    }

    pub(crate) async fn remove_video(&self, id: VideoId) -> Result<(), Error> {
        self.records("videos").delete_one(doc! { "_id": id.to_string() }).await?;
        Ok(())
    }

    pub(crate) async fn video(&self, id: VideoId) -> Result<Option<Video>, Error> {
        self.one("videos", doc! { "_id": id.to_string() }).await
    }

    pub(crate) async fn videos(
        &self,
        owner: &UserName,
        page: &Page<VideoId>,
    ) -> Result<Vec<Video>, Error> {
        self.list("videos", doc! { "owner": owner.as_str() }, page).await
    }

    /// False where one of this id or this key is there already.
    pub(crate) async fn insert_conversion(&self, record: &Conversion) -> Result<bool, Error> {
        let inserted = self.records("conversions").insert_one(row(0, record)?).await;
        if_new(inserted)
    }

    pub(crate) async fn remove_conversion(&self, id: ConversionId) -> Result<(), Error> {
        self.records("conversions").delete_one(doc! { "_id": id.to_string() }).await?;
        Ok(())
    }

    pub(crate) async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(i64, Conversion)>, Error> {
        let found = self.records("conversions").find_one(doc! { "_id": id.to_string() }).await?;
        let Some(found) = found else { return Ok(None) };
        let version =
            found.get_i64("version").map_err(|error| Error::Corrupt(error.to_string()))?;
        Ok(Some((version, body(found)?)))
    }

    pub(crate) async fn replace(&self, version: i64, next: &Conversion) -> Result<bool, Error> {
        let read = doc! { "_id": next.id.to_string(), "version": version };
        let done = self.records("conversions").replace_one(read, row(version + 1, next)?).await?;
        Ok(done.matched_count == 1)
    }

    pub(crate) async fn conversions(
        &self,
        owner: &UserName,
        which: Which,
        page: &Page<ConversionId>,
    ) -> Result<Vec<Conversion>, Error> {
        let owner = owner.as_str();
        let filter = match which {
            Which::All => doc! { "owner": owner },
            Which::InState(state) => doc! { "owner": owner, "state": state.as_str() },
            Which::OfVideo(video) => doc! { "owner": owner, "video": video.to_string() },
        };
        self.list("conversions", filter, page).await
    }

    pub(crate) async fn conversion_of_mp3(&self, mp3: Mp3Id) -> Result<Option<Conversion>, Error> {
        self.one("conversions", doc! { "mp3": mp3.to_string() }).await
    }

    pub(crate) async fn conversions_of_ids(
        &self,
        ids: &[ConversionId],
    ) -> Result<Vec<Conversion>, Error> {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        bodies(self.records("conversions").find(doc! { "_id": { "$in": ids } }).await?).await
    }

    pub(crate) async fn conversions_of_video(
        &self,
        video: VideoId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let conversions = self.records("conversions");
        let all = conversions.find(doc! { "video": video.to_string() });
        bodies(all.limit(limit.into()).await?).await
    }

    pub(crate) async fn usage(&self, owner: &UserName) -> Result<Usage, Error> {
        let owner = owner.as_str();
        let of_videos = self.sum("videos", doc! { "owner": owner }, "length").await?;
        let of_mp3s = doc! { "owner": owner, "bytes": { "$gt": 0 } };
        let of_mp3s = self.sum("conversions", of_mp3s, "bytes").await?;
        let open = doc! {
            "owner": owner,
            "state": { "$in": ["queued", "running"] },
            "lane": Lane::Interactive.number(),
        };
        let waiting = self.records("conversions").count_documents(open).await?;
        Ok(Usage { bytes: of_videos + of_mp3s, waiting })
    }

    async fn sum(&self, collection: &str, filter: Document, field: &str) -> Result<u64, Error> {
        let total = doc! { "_id": null, "total": { "$sum": format!("${field}") } };
        let steps = [doc! { "$match": filter }, doc! { "$group": total }];
        let mut found = self.records(collection).aggregate(steps).await?;
        let total = found.try_next().await?.and_then(|row| number(&row, "total"));
        Ok(total.unwrap_or(0))
    }

    /// On the server's disk, which may not be the one of this machine.
    pub(crate) async fn free_bytes(&self) -> Result<Option<u64>, Error> {
        Ok(free_in(&self.database.run_command(doc! { "dbStats": 1 }).await?))
    }

    pub(crate) async fn is_wanted(&self, video: VideoId) -> Result<bool, Error> {
        let state = doc! { "$in": ["queued", "running"] };
        let open = doc! { "video": video.to_string(), "state": state };
        Ok(self.records("conversions").find_one(open).await?.is_some())
    }

    pub(crate) async fn conversion_of_key(
        &self,
        owner: &UserName,
        key: &str,
    ) -> Result<Option<Conversion>, Error> {
        self.one("conversions", doc! { "owner": owner.as_str(), "key": key }).await
    }

    pub(crate) async fn work(&self, work: Work, limit: u32) -> Result<Vec<Conversion>, Error> {
        let filter = match work {
            Work::Running => doc! { "state": "running" },
            Work::Unannounced => {
                doc! { "announced": false, "state": { "$in": ["queued", "running"] } }
            }
            Work::Unpublished => doc! { "published": false, "state": "succeeded" },
            Work::Expired(now) => expired_by(now),
        };
        let order = match work {
            Work::Expired(_) => doc! { "expires_at": 1 },
            Work::Running => doc! { "lane": 1, "created_at": 1, "_id": 1 },
            _ => doc! { "created_at": 1, "_id": 1 },
        };
        let collection = self.records("conversions");
        bodies(collection.find(filter).sort(order).limit(limit.into()).await?).await
    }

    pub(crate) async fn backlog(&self) -> Result<Backlog, Error> {
        let queued = || doc! { "state": "queued" };
        let conversions = self.records("conversions");
        let waiting = conversions.count_documents(queued()).await?;
        let mut oldest = None;
        for lane in Lane::ALL {
            let first = doc! { "state": "queued", "lane": lane.number() };
            let first =
                conversions.find_one(first).sort(doc! { "created_at": 1, "_id": 1 }).await?;
            let at = first.and_then(|row| row.get_i64("created_at").ok());
            let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
            oldest = oldest.into_iter().chain(at).min();
        }
        Ok(Backlog { waiting, oldest })
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let later = doc! { "state": "queued", "not_before": { "$gt": now.as_millisecond() } };
        let next =
            self.records("conversions").find_one(later).sort(doc! { "not_before": 1 }).await?;
        Ok(next
            .and_then(|row| row.get_i64("not_before").ok())
            .and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    async fn one<T: DeserializeOwned>(
        &self,
        collection: &str,
        filter: Document,
    ) -> Result<Option<T>, Error> {
        self.records(collection).find_one(filter).await?.map(body).transpose()
    }

    async fn list<T: DeserializeOwned, Id: Display>(
        &self,
        collection: &str,
        mut filter: Document,
        page: &Page<Id>,
    ) -> Result<Vec<T>, Error> {
        let mut ids = Document::new();
        ids.extend(page.before.iter().map(|id| ("$lt".to_owned(), id.to_string().into())));
        ids.extend(page.from.iter().map(|id| ("$gte".to_owned(), id.to_string().into())));
        if !ids.is_empty() {
            filter.insert("_id", ids);
        }
        let collection = self.records(collection);
        let found = collection.find(filter).sort(doc! { "_id": -1 });
        bodies(found.limit(page.limit.into()).await?).await
    }
}

fn bson(record: &impl Serialize) -> Result<Bson, Error> {
    serialize_to_bson(record).map_err(|error| Error::Corrupt(error.to_string()))
}

fn marker_document(marker: &Pending) -> Result<Document, Error> {
    let id = Name::from(marker.kind).id();
    Ok(doc! { "_id": id, "touched_at": marker.touched_at.as_millisecond(), "body": bson(marker)? })
}

fn row(version: i64, record: &Conversion) -> Result<Document, Error> {
    let columns = serialize_to_document(&Columns::from(record))
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    let mut row = doc! { "_id": record.id.to_string(), "version": version };
    row.extend(columns);
    row.insert("body", bson(record)?);
    Ok(row)
}

/// With the very words of the index's filter, without which the index is not used.
fn expired_by(now: Timestamp) -> Document {
    doc! { "expires_at": { "$lte": now.as_millisecond(), "$type": "long" } }
}

fn video_row(video: &Video) -> Result<Document, Error> {
    let columns = serialize_to_document(&VideoColumns::from(video))
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    let mut row = doc! { "_id": video.id.to_string() };
    row.extend(columns);
    row.insert("body", bson(video)?);
    Ok(row)
}

/// What `dbStats` tells of the disk, where it does: of a database that is not there yet it says 0.
fn free_in(stats: &Document) -> Option<u64> {
    let all = number(stats, "fsTotalSize").filter(|all| *all > 0)?;
    number(stats, "fsUsedSize").map(|used| all.saturating_sub(used))
}

/// A count or a size, in whichever type the server gives it.
fn number(row: &Document, key: &str) -> Option<u64> {
    let value = row.get(key)?;
    let whole = value.as_i64().or_else(|| value.as_i32().map(i64::from));
    whole.or_else(|| value.as_f64().map(|value| value as i64)).and_then(|it| u64::try_from(it).ok())
}

fn body<T: DeserializeOwned>(mut row: Document) -> Result<T, Error> {
    let body = row.remove("body").unwrap_or_default();
    deserialize_from_bson(body).map_err(|error| Error::Corrupt(error.to_string()))
}

async fn bodies<T: DeserializeOwned>(found: mongodb::Cursor<Document>) -> Result<Vec<T>, Error> {
    found.map_err(Error::from).and_then(|row| async { body(row) }).try_collect().await
}

/// Whether the row was inserted; not where a row of this id or this key is there already.
fn if_new<T>(inserted: mongodb::error::Result<T>) -> Result<bool, Error> {
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if code_of(&error) == Some(DUPLICATE_KEY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

const UNAUTHORIZED: i32 = 13;
const DUPLICATE_KEY: i32 = 11000;
const OUT_OF_DISK_SPACE: i32 = 14031;

fn code_of(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(refusal) => Some(refusal.code),
        ErrorKind::Write(WriteFailure::WriteError(refusal)) => Some(refusal.code),
        ErrorKind::InsertMany(refusals) => Some(refusals.write_errors.as_ref()?.first()?.code),
        _ => None,
    }
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Self {
        match code_of(&error) {
            Some(OUT_OF_DISK_SPACE) => Self::Full,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
