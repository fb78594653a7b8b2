//! Storage on one machine: a folder with the files, and one SQLite database with the records.
//!
//! Several processes have it open: the server and each of its converters.

mod accept;
mod beside;
mod control;
mod due;
mod examine;
mod file;
#[cfg(test)]
mod plans;
pub(crate) mod schema;

pub(crate) use examine::examine;
pub(crate) use file::{Reader, Writer};

use crate::{
    Backlog, Error, Page, Usage, Which, Work, abandoned,
    blob::Name,
    columns::{Columns, VideoColumns},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, dsl,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{BigInt, Bool, Text},
};
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use domain::{Conversion, ConversionId, Lane, Mp3Id, Pending, State, UserName, Video, VideoId};
use jiff::Timestamp;
use schema::{conversions, pending, videos};
use serde::{Serialize, de::DeserializeOwned};
use std::{fs, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};
use tokio::sync::watch;

/// The states of what is not final.
const OPEN: [&str; 2] = [State::Queued.as_str(), State::Running.as_str()];

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// A folder with `videos/`, `mp3s/` and `records.sqlite`.
#[derive(Clone)]
pub struct Embedded {
    folder: Arc<Path>,
    pool: sqlite::Pool,
    changed: watch::Sender<()>,
}

type Connection<'a> = bb8::PooledConnection<
    'a,
    diesel_async::pooled_connection::AsyncDieselConnectionManager<sqlite::Connection>,
>;

impl Embedded {
    pub(crate) async fn open(folder: &Path) -> Result<Self, Error> {
        for name in ["videos", "mp3s"] {
            make_folder(&folder.join(name))?;
        }
        let pool = sqlite::open(&folder.join("records.sqlite"), MIGRATIONS)
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Self { folder: folder.into(), pool, changed: watch::Sender::new(()) })
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) async fn free_bytes(&self) -> Result<Option<u64>, Error> {
        let disk = rustix::fs::statvfs(&*self.folder).map_err(std::io::Error::from)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }

    async fn connection(&self) -> Result<Connection<'_>, Error> {
        self.pool.get().await.map_err(|error| Error::Unavailable(error.to_string()))
    }

    pub(crate) async fn mark(&self, marker: &Pending) -> Result<(), Error> {
        let row = (
            pending::file.eq(Name::from(marker.kind).id()),
            pending::touched_at.eq(marker.touched_at.as_millisecond()),
            pending::body.eq(json(marker)?),
        );
        let mut connection = self.connection().await?;
        diesel::insert_into(pending::table).values(row).execute(&mut connection).await?;
        Ok(())
    }

    pub(crate) async fn touch(&self, marker: &Pending) -> Result<bool, Error> {
        let row = (
            pending::touched_at.eq(marker.touched_at.as_millisecond()),
            pending::body.eq(json(marker)?),
        );
        let mut connection = self.connection().await?;
        let marked = pending::table.find(Name::from(marker.kind).id());
        Ok(diesel::update(marked).set(row).execute(&mut connection).await? == 1)
    }

    /// An error where the marker is gone.
    pub(crate) async fn is_marked(&self, name: Name) -> Result<(), Error> {
        let query = pending::table.find(name.id()).select(pending::touched_at);
        let found: Option<i64> = query.first(&mut self.connection().await?).await.optional()?;
        found.map(drop).ok_or_else(abandoned)
    }

    pub(crate) async fn forget(&self, name: Name) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        diesel::delete(pending::table.find(name.id())).execute(&mut connection).await?;
        Ok(())
    }

    pub(crate) async fn pending(&self, limit: u32) -> Result<Vec<Pending>, Error> {
        let query =
            pending::table.select(pending::body).order(pending::touched_at).limit(limit.into());
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn insert_video(&self, video: &Video) -> Result<(), Error> {
        let row = (
            videos::id.eq(video.id.to_string()),
            VideoColumns::from(video),
            videos::body.eq(json(video)?),
        );
        let mut connection = self.connection().await?;
        let inserted =
            diesel::insert_into(videos::table).values(row).execute(&mut connection).await;
        if_new(inserted).map(drop)
    }

    pub(crate) async fn replace_video(&self, video: &Video) -> Result<(), Error> {
        let row = (VideoColumns::from(video), videos::body.eq(json(video)?));
        let mut connection = self.connection().await?;
        let old = videos::table.find(video.id.to_string());
        diesel::update(old).set(row).execute(&mut connection).await?;
        Ok(())
    }

    pub(crate) async fn expired_videos(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Video>, Error> {
        let query = videos::table
            .filter(videos::expires_at.le(now.as_millisecond()))
            .order(videos::expires_at)
            .select(videos::body)
            .limit(limit.into());
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn usage(&self, owner: &UserName) -> Result<Usage, Error> {
        let sum = |column: &str| dsl::sql::<BigInt>(&format!("COALESCE(SUM({column}), 0)"));
        let owner = owner.as_str();
        let mut connection = self.connection().await?;
        let of_videos = videos::table.filter(videos::owner.eq(owner)).select(sum("length"));
        let of_videos: i64 = of_videos.first(&mut connection).await?;
        // To the letter of its partial index.
        let of_mp3s = conversions::table
            .filter(conversions::owner.eq(owner))
            .filter(dsl::sql::<Bool>("bytes > 0"))
            .select(sum("bytes"));
        let of_mp3s: i64 = of_mp3s.first(&mut connection).await?;
        let waiting = conversions::table
            .filter(conversions::owner.eq(owner))
            .filter(conversions::state.eq_any(OPEN))
            .filter(conversions::lane.eq(Lane::Interactive.number()))
            .count();
        let waiting: i64 = waiting.first(&mut connection).await?;
        Ok(Usage {
            bytes: of_videos.saturating_add(of_mp3s).unsigned_abs(),
            waiting: waiting.unsigned_abs(),
        })
    }

    pub(crate) async fn remove_video(&self, id: VideoId) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        diesel::delete(videos::table.find(id.to_string())).execute(&mut connection).await?;
        Ok(())
    }

    pub(crate) async fn video(&self, id: VideoId) -> Result<Option<Video>, Error> {
        let query = videos::table.find(id.to_string()).select(videos::body);
        let body: Option<String> = query.first(&mut self.connection().await?).await.optional()?;
        body.as_deref().map(parse).transpose()
    }

    pub(crate) async fn videos(
        &self,
        owner: &UserName,
        page: &Page<VideoId>,
    ) -> Result<Vec<Video>, Error> {
        let mut query = videos::table
            .filter(videos::owner.eq(owner.as_str()))
            .select(videos::body)
            .order(videos::id.desc())
            .limit(page.limit.into())
            .into_boxed();
        if let Some(before) = page.before {
            query = query.filter(videos::id.lt(before.to_string()));
        }
        if let Some(from) = page.from {
            query = query.filter(videos::id.ge(from.to_string()));
        }
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    /// False where one of this id or this key is there already.
    pub(crate) async fn insert_conversion(&self, record: &Conversion) -> Result<bool, Error> {
        let row = (
            conversions::id.eq(record.id.to_string()),
            conversions::version.eq(0),
            Columns::from(record),
            conversions::body.eq(json(record)?),
        );
        let mut connection = self.connection().await?;
        let inserted =
            diesel::insert_into(conversions::table).values(row).execute(&mut connection).await;
        if_new(inserted)
    }

    pub(crate) async fn remove_conversion(&self, id: ConversionId) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        diesel::delete(conversions::table.find(id.to_string())).execute(&mut connection).await?;
        self.changed.send_replace(());
        Ok(())
    }

    pub(crate) async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(i64, Conversion)>, Error> {
        let query = conversions::table
            .find(id.to_string())
            .select((conversions::version, conversions::body));
        let row: Option<(i64, String)> =
            query.first(&mut self.connection().await?).await.optional()?;
        row.map(|(version, body)| Ok((version, parse(&body)?))).transpose()
    }

    pub(crate) async fn replace(&self, version: i64, next: &Conversion) -> Result<bool, Error> {
        let read =
            conversions::table.find(next.id.to_string()).filter(conversions::version.eq(version));
        let row = (
            conversions::version.eq(version + 1),
            Columns::from(next),
            conversions::body.eq(json(next)?),
        );
        let mut connection = self.connection().await?;
        let replaced = diesel::update(read).set(row).execute(&mut connection).await? == 1;
        if replaced {
            self.changed.send_replace(());
        }
        Ok(replaced)
    }

    pub(crate) async fn conversions(
        &self,
        owner: &UserName,
        which: Which,
        page: &Page<ConversionId>,
    ) -> Result<Vec<Conversion>, Error> {
        let mut query = conversions::table
            .select(conversions::body)
            .order(conversions::id.desc())
            .limit(page.limit.into())
            .into_boxed();
        query = match which {
            Which::All => query.filter(conversions::owner.eq(owner.as_str())),
            Which::InState(state) => query
                .filter(conversions::owner.eq(owner.as_str()))
                .filter(conversions::state.eq(state.as_str())),
            // All of a video's conversions are its owner's. `+` keeps the planner from walking
            // through everything of that owner's.
            Which::OfVideo(video) => query
                .filter(conversions::video.eq(video.to_string()))
                .filter(dsl::sql::<Bool>("+owner = ").bind::<Text, _>(owner.as_str().to_owned())),
        };
        if let Some(before) = page.before {
            query = query.filter(conversions::id.lt(before.to_string()));
        }
        if let Some(from) = page.from {
            query = query.filter(conversions::id.ge(from.to_string()));
        }
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn conversions_of_ids(
        &self,
        ids: &[ConversionId],
    ) -> Result<Vec<Conversion>, Error> {
        let ids = ids.iter().map(ToString::to_string);
        let query =
            conversions::table.filter(conversions::id.eq_any(ids)).select(conversions::body);
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn conversions_of_video(
        &self,
        video: VideoId,
        limit: u32,
    ) -> Result<Vec<Conversion>, Error> {
        let query = conversions::table
            .filter(conversions::video.eq(video.to_string()))
            .select(conversions::body)
            .limit(limit.into());
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn conversion_of_mp3(&self, mp3: Mp3Id) -> Result<Option<Conversion>, Error> {
        let query = conversions::table
            .filter(conversions::mp3.eq(mp3.to_string()))
            .select(conversions::body);
        found(query.first(&mut self.connection().await?).await)
    }

    pub(crate) async fn is_wanted(&self, video: VideoId) -> Result<bool, Error> {
        let query = conversions::table
            .filter(conversions::video.eq(video.to_string()))
            // `+`: a video has few conversions, a state has many.
            .filter(dsl::sql::<Bool>("+state IN ('queued', 'running')"))
            .select(conversions::id);
        let open: Option<String> = query.first(&mut self.connection().await?).await.optional()?;
        Ok(open.is_some())
    }

    pub(crate) async fn conversion_of_key(
        &self,
        owner: &UserName,
        key: &str,
    ) -> Result<Option<Conversion>, Error> {
        let of_key = conversions::owner.eq(owner.as_str()).and(conversions::key.eq(key));
        let query = conversions::table.filter(of_key).select(conversions::body);
        found(query.first(&mut self.connection().await?).await)
    }

    pub(crate) async fn work(&self, work: Work, limit: u32) -> Result<Vec<Conversion>, Error> {
        let all = conversions::table.select(conversions::body).limit(limit.into());
        if let Work::Expired(now) = work {
            let expired = all
                .filter(conversions::expires_at.le(now.as_millisecond()))
                .order(conversions::expires_at);
            return parse_all(expired.load(&mut self.connection().await?).await?);
        }
        let turn = (conversions::lane, conversions::created_at, conversions::id);
        let all = match work {
            Work::Running => all.order(turn).into_boxed(),
            _ => all.order((conversions::created_at, conversions::id)).into_boxed(),
        };
        // `NOT column` to the letter: so the partial indexes say it, and only then are they used.
        let query = match work {
            Work::Running => all.filter(conversions::state.eq(State::Running.as_str())),
            Work::Unannounced => {
                all.filter(dsl::not(conversions::announced)).filter(conversions::state.eq_any(OPEN))
            }
            Work::Unpublished => all
                .filter(dsl::not(conversions::published))
                .filter(conversions::state.eq(State::Succeeded.as_str())),
            Work::Expired(_) => return Ok(Vec::new()),
        };
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn backlog(&self) -> Result<Backlog, Error> {
        let queued = conversions::table.filter(conversions::state.eq(State::Queued.as_str()));
        let mut connection = self.connection().await?;
        let waiting: i64 = queued.count().get_result(&mut connection).await?;
        let mut oldest: Option<i64> = None;
        for lane in Lane::ALL {
            let first = queued.filter(conversions::lane.eq(lane.number()));
            let first = first.select(dsl::min(conversions::created_at));
            let at: Option<i64> = first.first(&mut connection).await?;
            oldest = oldest.into_iter().chain(at).min();
        }
        Ok(Backlog {
            waiting: u64::try_from(waiting).unwrap_or(0),
            oldest: oldest.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        })
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.connection().await.map(drop)
    }

    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        // To the letter of its partial index.
        let queued = dsl::sql::<Bool>("state = 'queued'");
        let query = conversions::table
            .filter(queued)
            .filter(conversions::not_before.gt(now.as_millisecond()))
            .select(dsl::min(conversions::not_before));
        let due: Option<i64> = query.first(&mut self.connection().await?).await?;
        Ok(due.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    }
}

/// Makes a folder and those above it, for our eyes only and so that a power cut keeps them.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let Some(above) = folder.parent().filter(|_| !folder.is_dir()) else {
        return Ok(());
    };
    make_folder(above)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        // Another process was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let here = Path::new(".");
    let above = if above == Path::new("") { here } else { above };
    fs::File::open(above)?.sync_all()
}

/// Whether the row was inserted; not where a row of this id or this key is there already.
fn if_new(inserted: QueryResult<usize>) -> Result<bool, Error> {
    match inserted {
        Ok(_) => Ok(true),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn json(record: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(record).map_err(|error| Error::Corrupt(error.to_string()))
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|error| Error::Corrupt(error.to_string()))
}

fn parse_all<T: DeserializeOwned>(bodies: Vec<String>) -> Result<Vec<T>, Error> {
    bodies.iter().map(|body| parse(body)).collect()
}

fn found(body: QueryResult<String>) -> Result<Option<Conversion>, Error> {
    body.optional()?.as_deref().map(parse).transpose()
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        match error {
            // SQLite has no error kind for it, only this text.
            DieselError::DatabaseError(_, info) if info.message().contains("disk is full") => {
                Self::Full
            }
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::UnexpectedEof => Self::Corrupt("a file is too short".to_owned()),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
