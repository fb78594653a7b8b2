//! Files of the system that this one replaces: GridFS files with ids of their own, which its gateway
//! has stored and a message names. They are only read.

use super::{Mongo, Reader, UNAUTHORIZED, code_of};
use crate::{BlobReader, Error};
use domain::FileName;
use futures::{StreamExt, TryStreamExt, future::ready, stream::BoxStream};
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

/// The original's database, where it lies on the same server; both use the default bucket.
const DATABASE: &str = "videos";
const FILES: &str = "fs.files";

impl Mongo {
    pub(crate) async fn open_foreign(&self, fid: &str) -> Result<(BlobReader, FileName), Error> {
        let object_id = ObjectId::parse_str(fid).ok().map(Bson::from);
        let ids: Vec<_> = object_id.into_iter().chain([fid.into()]).collect();
        for database in [self.database.clone(), self.database.client().database(DATABASE)] {
            let files = database.collection::<Document>(FILES);
            let file = match files.find_one(doc! { "_id": { "$in": ids.clone() } }).await {
                // An account of our database alone: for it there is no other.
                Err(error) if code_of(&error) == Some(UNAUTHORIZED) => None,
                found => found?,
            };
            if let Some(file) = file {
                let (reader, length) = Reader::of(&file, database.collection("fs.chunks"))?;
                let name = file.get_str("filename").unwrap_or_default().to_owned();
                return Ok((BlobReader::foreign(reader, length), FileName::from(name)));
            }
        }
        Err(Error::NotFound)
    }

    /// Those of the original's own database; there they are in nobody's account.
    pub(crate) async fn foreign_fids(
        &self,
    ) -> Result<BoxStream<'static, Result<String, Error>>, Error> {
        let files = self.database.client().database(DATABASE).collection::<Document>(FILES);
        let ids = files.find(doc! {}).projection(doc! { "_id": 1 }).await?;
        Ok(ids.map_err(Error::from).try_filter_map(|file| ready(Ok(fid(&file)))).boxed())
    }
}

/// None for an id that no message could name.
fn fid(file: &Document) -> Option<String> {
    match file.get("_id") {
        Some(Bson::ObjectId(id)) => Some(id.to_hex()),
        Some(Bson::String(id)) => Some(id.clone()),
        _ => None,
    }
}
