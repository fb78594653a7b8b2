//! Files that the original system has stored, written here by the driver's own GridFS.

use crate::store::{Store, noise};
use bytes::Bytes;
use futures::{AsyncWriteExt, TryStreamExt};
use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
};
use storage::{Error, Storage};

/// Where the original may have its files; nowhere for a store that is no database.
async fn databases(url: &str) -> Vec<Database> {
    if url.starts_with("file:") {
        return Vec::new();
    }
    let client = Client::with_uri_str(url).await.unwrap();
    vec![client.default_database().unwrap(), client.database("videos")]
}

async fn put(database: &Database, name: &str, bytes: &[u8]) -> Bson {
    let mut file = database.gridfs_bucket(None).open_upload_stream(name).await.unwrap();
    file.write_all(bytes).await.unwrap();
    file.close().await.unwrap();
    file.id().clone()
}

async fn read(storage: &Storage, fid: &str) -> Result<(Vec<u8>, String), Error> {
    let (reader, name) = storage.open_foreign(fid).await?;
    let length = reader.length();
    let parts: Vec<Bytes> = reader.stream(0..length).try_collect().await?;
    Ok((parts.concat(), name.to_string()))
}

pub(crate) async fn a_file_of_the_original_system_is_found_by_its_fid(
    Store { storage, url }: Store,
) {
    for database in databases(&url).await {
        for (name, shown, size) in [("a/film.mp4", "film.mp4", 3 << 20), ("", "video", 0)] {
            let bytes = noise(size);
            let id = put(&database, name, &bytes).await;
            let fid = id.as_object_id().unwrap().to_hex();
            let found = read(&storage, &fid).await.unwrap();
            assert!(found == (bytes.to_vec(), shown.to_owned()), "{name:?} of {size} bytes");
            database.gridfs_bucket(None).delete(id).await.unwrap();
        }
    }
    for unknown in ["64f0c0ffee64f0c0ffee64f0", "", "film"] {
        assert!(matches!(storage.open_foreign(unknown).await, Err(Error::NotFound)), "{unknown}");
    }
}

pub(crate) async fn a_foreign_file_with_a_gap_is_damaged(Store { storage, url }: Store) {
    let Some(database) = databases(&url).await.into_iter().next() else { return };
    let id = put(&database, "film.mp4", &noise(3 << 20)).await;
    let fid = id.as_object_id().unwrap().to_hex();
    let chunks = database.collection::<Document>("fs.chunks");
    chunks.delete_one(doc! { "files_id": id, "n": 5 }).await.unwrap();
    assert!(matches!(read(&storage, &fid).await, Err(Error::Corrupt(_))));
}
