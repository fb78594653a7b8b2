//! Files of the system that this one replaces: GridFS files with ids of their own, which its gateway
//! has stored and a message names. They are only read.

use super::{Mongo, Reader, code_of};
use crate::{BlobReader, Error};
use domain::FileName;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

/// The original's database, where it lies on the same server; both use the default bucket.
const DATABASE: &str = "videos";
const UNAUTHORIZED: i32 = 13;

impl Mongo {
    pub(crate) async fn open_foreign(&self, fid: &str) -> Result<(BlobReader, FileName), Error> {
        let object_id = ObjectId::parse_str(fid).ok().map(Bson::from);
        let ids: Vec<_> = object_id.into_iter().chain([fid.into()]).collect();
        for database in [self.database.clone(), self.database.client().database(DATABASE)] {
            let files = database.collection::<Document>("fs.files");
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
}
