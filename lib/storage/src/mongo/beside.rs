//! The texts beside a file lie in its one document, so no moment sees one without the other.

use super::Mongo;
use crate::{Beside, Error, blob::Name};
use mongodb::bson::{deserialize_from_bson, doc};

impl Mongo {
    pub(crate) async fn beside(&self, name: Name) -> Result<Option<Beside>, Error> {
        let (files, wanted) = (self.files(name), doc! { "metadata.beside": 1 });
        let found = files.find_one(doc! { "_id": name.id() }).projection(wanted).await?;
        let metadata = found.as_ref().and_then(|file| file.get_document("metadata").ok());
        let beside = metadata.and_then(|metadata| metadata.get("beside").cloned());
        let read = beside.map(deserialize_from_bson).transpose();
        read.map_err(|error| Error::Corrupt(error.to_string()))
    }
}
