//! Every statement that the embedded store runs, as SQLite plans it: none may walk a table, since
//! finished records stay for good.

use super::Embedded;
use crate::{Page, Storage, Wanted, Which, Work};
use diesel::{
    QueryableByName,
    connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation},
    sql_query,
    sql_types::Text,
};
use diesel_async::RunQueryDsl;
use domain::{
    Batch, BatchChange, BatchWish, Capacity, Conversion, ConversionId, Dispatching, Matching,
    NewConversion, Options, PendingKind, Role, State, Video, VideoId,
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn statements() -> MutexGuard<'static, BTreeSet<String>> {
    STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record() -> Option<Box<dyn Instrumentation>> {
    Some(Box::new(|event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let statement = text.split(" -- binds").next().unwrap_or_default();
            statements().insert(statement.to_owned());
        }
    }))
}

#[derive(Debug, QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Calls everything once.
async fn use_all(storage: &Storage) {
    let video = Video {
        id: VideoId::generate(),
        owner: "ada".parse().unwrap(),
        name: "film.mp4".to_owned().into(),
        length: 0,
        sha256: [0; 32].into(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    };
    let new = NewConversion {
        video: &video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    let id = ConversionId::generate();
    let conversion = Conversion::new(id, new, Timestamp::UNIX_EPOCH);
    let writer = storage.create(PendingKind::Video { video: video.id }).await.unwrap();
    writer.finish().await.unwrap();
    storage.pending(1).await.unwrap();
    storage.accept(&video, &conversion).await.unwrap();
    storage.change(id, &domain::Change::Announced).await.unwrap();
    storage.video(video.id).await.unwrap();
    for (before, from) in [(None, None), (Some(id), None), (None, Some(id)), (Some(id), Some(id))] {
        for which in [Which::All, Which::InState(State::Failed), Which::OfVideo(video.id)] {
            let page = Page { before, from, limit: 1 };
            storage.conversions(&video.owner, which, &page).await.unwrap();
        }
    }
    let bound = Some(video.id);
    for (before, from) in [(None, None), (bound, None), (None, bound), (bound, bound)] {
        storage.videos(&video.owner, &Page { before, from, limit: 1 }).await.unwrap();
    }
    storage.conversions_of_ids(&[id]).await.unwrap();
    storage.is_wanted(video.id).await.unwrap();
    storage.usage(&video.owner).await.unwrap();
    storage.expired_videos(Timestamp::UNIX_EPOCH, 1).await.unwrap();
    let _ = storage.conversion_of_mp3(id.mp3(1)).await;
    storage.conversion_of_video(video.id).await.unwrap();
    storage.conversion_of_key(&video.owner, "key").await.unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let paused = ["louder".parse().unwrap()].into();
    for slots in [1, 2] {
        storage.due(&Wanted { now, slots, owners: 1, paused: &paused }).await.unwrap();
    }
    storage.crowd(now).await.unwrap();
    storage.ahead_of(&conversion).await.unwrap();
    storage.set_capacity(&Capacity::default()).await.unwrap();
    storage.capacity().await.unwrap();
    for work in [Work::Running, Work::Unannounced, Work::Unpublished, Work::Expired(now)] {
        storage.work(work, 1).await.unwrap();
    }
    storage.walk(None, id, 1).await.unwrap();
    let root = || "root".parse().unwrap();
    let wish =
        BatchWish { matching: Matching::default(), options: Options::default(), replace: false };
    let batch = Batch::new("louder".parse().unwrap(), root(), wish, now);
    storage.add_batch(&batch).await.unwrap();
    storage.change_batch(&batch.id, &BatchChange::Pause).await.unwrap();
    storage.batches(true).await.unwrap();
    storage.progress(&batch.id).await.unwrap();
    storage.open_of_batch(&batch.id, 1).await.unwrap();
    storage.set_dispatching(&Dispatching::default()).await.unwrap();
    storage.next_due(now).await.unwrap();
    storage.backlog().await.unwrap();
    storage.condemn(&video, now).await.unwrap();
    storage.purge(video.id).await.unwrap();
}

#[tokio::test]
async fn no_statement_walks_a_table_or_sorts_one() {
    let folder = tempfile::tempdir().unwrap();
    // The connections that migrate are gone before the recording begins.
    drop(Embedded::open(folder.path()).await.unwrap());
    set_default_instrumentation(record).unwrap();
    let store = Embedded::open(folder.path()).await.unwrap();
    statements().clear();
    use_all(&Storage::Embedded(store.clone())).await;

    let seen: Vec<_> = statements().iter().cloned().collect();
    assert!(seen.len() >= 20, "only {seen:#?}");
    let mut connection = store.connection().await.unwrap();
    let names = "SELECT name AS detail FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    let mut idle: Vec<Step> = sql_query(names).load(&mut connection).await.unwrap();
    for statement in seen {
        let plan = sql_query(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<Step> = plan.load(&mut connection).await.unwrap();
        for Step { detail } in steps {
            // The markers are all wanted, in the order of their index; the others are no tables.
            let all = [
                "SCAN pending USING INDEX pending_by_silence",
                "SCAN owners",
                // All that waits, summed up.
                "SCAN conversions USING INDEX conversions_waiting",
                "SCAN json_each VIRTUAL TABLE INDEX 1:",
            ];
            let walks = detail.starts_with("SCAN") && !all.contains(&detail.as_str());
            assert!(!walks, "{detail}: {statement}");
            // What waits in two states is merged, and owners who wait are sorted; both are short.
            let short = statement.contains(" IN (")
                || statement.contains(" owners ")
                || statement.contains("GROUP BY +owner");
            let sorted = detail.contains("TEMP B-TREE") && !short;
            assert!(!sorted, "{detail}: {statement}");
            let words: Vec<_> = detail.split(' ').collect();
            idle.retain(|index| !words.contains(&index.detail.as_str()));
        }
    }
    // One that no statement uses was made for one that now walks what it should have found.
    assert!(idle.is_empty(), "not used: {idle:?}");
}
