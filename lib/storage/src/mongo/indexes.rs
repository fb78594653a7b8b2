//! The indexes, which whoever opens the store makes sure of.

use super::Mongo;
use crate::Error;
use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};

/// Each collection with its indexes.
pub(super) fn all() -> Vec<(&'static str, Vec<IndexModel>)> {
    let expiring =
        || some(doc! { "expires_at": 1 }, Some(doc! { "expires_at": { "$type": "long" } }));
    let chunks = || vec![unique(doc! { "files_id": 1, "n": 1 }, None)];
    let of_owner = [doc! { "owner": 1, "_id": -1 }, doc! { "owner": 1, "length": 1 }];
    let of_videos = of_owner.map(plain).into_iter().chain([expiring()]);
    vec![
        ("conversions", of_conversions().into_iter().chain([expiring()]).collect()),
        ("videos", of_videos.collect()),
        ("pending", vec![plain(doc! { "touched_at": 1 })]),
        ("videos.chunks", chunks()),
        ("mp3s.chunks", chunks()),
    ]
}

fn of_conversions() -> [IndexModel; 12] {
    let outbox = |told: &str| {
        let keys = doc! { told: 1, "state": 1, "created_at": 1, "_id": 1 };
        some(keys, Some(doc! { told: false }))
    };
    [
        unique(doc! { "owner": 1, "key": 1 }, Some(doc! { "key": { "$type": "string" } })),
        plain(doc! { "owner": 1, "_id": -1 }),
        plain(doc! { "owner": 1, "state": 1, "_id": -1 }),
        plain(doc! { "video": 1, "_id": -1 }),
        some(doc! { "owner": 1, "bytes": 1 }, Some(doc! { "bytes": { "$gt": 0 } })),
        plain(doc! { "mp3": 1 }),
        plain(doc! { "state": 1, "lane": 1, "created_at": 1, "_id": 1 }),
        plain(doc! {
            "state": 1, "lane": 1, "owner": 1, "created_at": 1, "_id": 1, "body.video_bytes": 1,
        }),
        some(doc! { "batch": 1, "state": 1 }, Some(doc! { "batch": { "$type": "string" } })),
        plain(doc! { "state": 1, "not_before": 1 }),
        outbox("announced"),
        outbox("published"),
    ]
}

fn plain(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

fn some(keys: Document, filter: Option<Document>) -> IndexModel {
    index(keys, false, filter)
}

fn unique(keys: Document, filter: Option<Document>) -> IndexModel {
    index(keys, true, filter)
}

fn index(keys: Document, unique: bool, filter: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().unique(unique).partial_filter_expression(filter).build();
    IndexModel::builder().keys(keys).options(options).build()
}

impl Mongo {
    pub(super) async fn make_indexes(&self) -> Result<(), Error> {
        for (collection, indexes) in all() {
            self.records(collection).create_indexes(indexes).await?;
        }
        Ok(())
    }
}
