//! Storage on one machine: a folder with the files, and one SQLite database with the records.
//!
//! Several processes have it open: the server and each of its converters.

mod file;
#[cfg(test)]
mod plans;
pub(crate) mod schema;

pub(crate) use file::{Reader, Writer};

use crate::{Error, Page, Work, blob::Name, columns::Columns};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, dsl,
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use domain::{Conversion, ConversionId, Mp3Id, Pending, State, UserName, Video, VideoId};
use jiff::Timestamp;
use schema::{conversions, pending, videos};
use serde::{Serialize, de::DeserializeOwned};
use std::{fs, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// A folder with `videos/`, `mp3s/` and `records.sqlite`.
#[derive(Clone)]
pub struct Embedded {
    folder: Arc<Path>,
    pool: sqlite::Pool,
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
        Ok(Self { folder: folder.into(), pool })
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
            videos::owner.eq(video.owner.as_str()),
            videos::body.eq(json(video)?),
        );
        let mut connection = self.connection().await?;
        let inserted =
            diesel::insert_into(videos::table).values(row).execute(&mut connection).await;
        if_new(inserted).map(drop)
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
        Ok(diesel::update(read).set(row).execute(&mut connection).await? == 1)
    }

    pub(crate) async fn conversions(
        &self,
        owner: &UserName,
        state: Option<State>,
        page: &Page<ConversionId>,
    ) -> Result<Vec<Conversion>, Error> {
        let mut query = conversions::table
            .filter(conversions::owner.eq(owner.as_str()))
            .select(conversions::body)
            .order(conversions::id.desc())
            .limit(page.limit.into())
            .into_boxed();
        if let Some(before) = page.before {
            query = query.filter(conversions::id.lt(before.to_string()));
        }
        if let Some(state) = state {
            query = query.filter(conversions::state.eq(state.as_str()));
        }
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn conversion_of_mp3(&self, mp3: Mp3Id) -> Result<Option<Conversion>, Error> {
        let query = conversions::table
            .filter(conversions::mp3.eq(mp3.to_string()))
            .select(conversions::body);
        found(query.first(&mut self.connection().await?).await)
    }

    pub(crate) async fn conversion_of_video(
        &self,
        video: VideoId,
    ) -> Result<Option<Conversion>, Error> {
        let query = conversions::table
            .filter(conversions::video.eq(video.to_string()))
            .select(conversions::body);
        found(query.first(&mut self.connection().await?).await)
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
        let all = all.order((conversions::created_at, conversions::id)).into_boxed();
        // `NOT column` to the letter: so the partial indexes say it, and only then are they used.
        let open = [State::Queued.as_str(), State::Running.as_str()];
        let query = match work {
            Work::Due(now) => all
                .filter(conversions::state.eq(State::Queued.as_str()))
                .filter(conversions::not_before.le(now.as_millisecond())),
            Work::Running => all.filter(conversions::state.eq(State::Running.as_str())),
            Work::Unannounced => {
                all.filter(dsl::not(conversions::announced)).filter(conversions::state.eq_any(open))
            }
            Work::Unpublished => all
                .filter(dsl::not(conversions::published))
                .filter(conversions::state.eq(State::Succeeded.as_str())),
        };
        parse_all(query.load(&mut self.connection().await?).await?)
    }

    pub(crate) async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        // To the letter of its partial index, which `Work::Due` must not use: it would sort.
        let queued = dsl::sql::<diesel::sql_types::Bool>("state = 'queued'");
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
