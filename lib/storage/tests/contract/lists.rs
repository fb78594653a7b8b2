//! Lists: every record on exactly one page, and the dispatcher's work in its order.

use crate::store::{
    Store, accepted, ada, added, at, changed, conversion_of, first, running, success, video_of,
};
use domain::{Cause, Change, Conversion, State};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use storage::{Backlog, Page, Storage, Wanted, Which, Work};

/// 250 conversions of Ada's, every third cancelled, among 30 of Bob's; Ada's, newest first.
async fn many(storage: &Storage) -> Vec<Conversion> {
    let bob = "bob".parse().unwrap();
    let mut records: Vec<_> =
        (0..250).map(|_| conversion_of(&video_of(&ada()), None, at(1))).collect();
    let others = (0..30).map(|_| conversion_of(&video_of(&bob), None, at(1)));
    let all: Vec<_> = records.iter().cloned().chain(others).collect();
    stream::iter(&all).for_each_concurrent(8, async |record| accepted(storage, record).await).await;
    for record in records.iter_mut().step_by(3) {
        *record = changed(storage, record.id, &[Change::Cancel]).await;
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.id));
    records
}

async fn pages(storage: &Storage, which: Which, limit: u32) -> Vec<Conversion> {
    let (mut all, mut page) = (Vec::new(), first(limit));
    loop {
        let records = storage.conversions(&ada(), which, &page).await.unwrap();
        assert!(records.len() <= limit as usize);
        let Some(last) = records.last() else {
            return all;
        };
        page.before = Some(last.id);
        all.extend(records);
    }
}

pub(crate) async fn pages_hold_every_record_once(Store { storage, .. }: Store) {
    let records = many(&storage).await;
    for limit in [7, 50, 1000] {
        assert_eq!(pages(&storage, Which::All, limit).await, records, "{limit} a page");
    }
}

pub(crate) async fn pages_filter_by_state(Store { storage, .. }: Store) {
    let records = many(&storage).await;
    for state in State::ALL {
        let expected: Vec<_> =
            records.iter().filter(|record| record.state == state).cloned().collect();
        assert_eq!(pages(&storage, Which::InState(state), 20).await, expected, "{state:?}");
    }
}

pub(crate) async fn pages_keep_to_their_bounds(Store { storage, .. }: Store) {
    let records = many(&storage).await;
    // Newest first: from the 20th newest down to the 30th.
    let page = Page { before: Some(records[19].id), from: Some(records[30].id), limit: 100 };
    let found = storage.conversions(&ada(), Which::All, &page).await.unwrap();
    assert_eq!(found, records[20..=30]);
    let state = records[25].state;
    let found = storage.conversions(&ada(), Which::InState(state), &page).await.unwrap();
    let expected: Vec<_> =
        records[20..=30].iter().filter(|record| record.state == state).cloned().collect();
    assert_eq!(found, expected);
    let of_video = Which::OfVideo(records[25].video);
    assert_eq!(storage.conversions(&ada(), of_video, &page).await.unwrap(), records[25..26]);
    let bob = "bob".parse().unwrap();
    assert_eq!(storage.conversions(&bob, of_video, &page).await.unwrap(), []);
    let mut some = storage.conversions_of_ids(&[records[3].id, records[5].id]).await.unwrap();
    some.sort_by_key(|record| std::cmp::Reverse(record.id));
    assert_eq!(some, [records[3].clone(), records[5].clone()]);
}

pub(crate) async fn videos_are_paged_by_owner(Store { storage, .. }: Store) {
    let mut videos = Vec::new();
    for owner in [ada(), "bob".parse().unwrap(), ada(), ada()] {
        let video = video_of(&owner);
        storage.accept(&video, &conversion_of(&video, None, at(1))).await.unwrap();
        videos.push(video);
    }
    videos.remove(1);
    videos.sort_by_key(|video| std::cmp::Reverse(video.id));
    let mut page = first(2);
    assert_eq!(storage.videos(&ada(), &page).await.unwrap(), videos[..2]);
    page.before = Some(videos[1].id);
    assert_eq!(storage.videos(&ada(), &page).await.unwrap(), videos[2..]);
    page.before = Some(videos[2].id);
    assert_eq!(storage.videos(&ada(), &page).await.unwrap(), []);
}

async fn due(storage: &Storage, now: Timestamp, slots: u32, paused: &[&str]) -> Vec<Conversion> {
    let paused = paused.iter().map(|batch| batch.parse().unwrap()).collect();
    storage.due(&Wanted { now, slots, owners: slots, paused: &paused }).await.unwrap()
}

/// One owner's many hide nobody, in either lane; what is not due or stands still hides nothing either.
pub(crate) async fn of_each_owner_the_first_few_are_due(Store { storage, .. }: Store) {
    let mut all = Vec::new();
    for (second, owner, batch) in [
        (1, "ada", None),
        (2, "ada", None),
        (3, "ada", None),
        (4, "bob", None),
        (5, "bob", None),
        (6, "eve", Some("one")),
        (7, "eve", Some("two")),
        (8, "ada", Some("one")),
    ] {
        let video = video_of(&owner.parse().unwrap());
        let batch = batch.map(|batch| batch.parse().unwrap());
        let record = Conversion { batch, ..conversion_of(&video, None, at(second)) };
        accepted(&storage, &record).await;
        all.push(record);
    }
    let pick = |which: &[usize]| -> Vec<_> { which.iter().map(|at| all[*at].clone()).collect() };
    assert_eq!(due(&storage, at(9), 1, &[]).await, pick(&[0, 5]));
    assert_eq!(due(&storage, at(9), 2, &[]).await, pick(&[0, 3, 5, 7]));
    assert_eq!(due(&storage, at(9), 3, &[]).await, pick(&[0, 1, 3, 4, 5, 6, 7]));
    assert_eq!(due(&storage, at(9), 2, &["one"]).await, pick(&[0, 3, 6]));
    assert_eq!(due(&storage, at(9), 2, &["one", "two"]).await, pick(&[0, 3]));
    let wait = Change::Release { attempt: 1, cause: Cause::NeverStarted("no room".to_owned()) };
    changed(&storage, all[0].id, &[Change::Dispatch { attempt: 1 }, wait]).await;
    let found = due(&storage, Timestamp::now(), 2, &[]).await;
    assert_eq!(found, pick(&[1, 3, 5, 7]));
}

async fn ids(storage: &Storage, work: Work) -> Vec<domain::ConversionId> {
    let found = storage.work(work, 100).await.unwrap();
    found.iter().map(|record| record.id).collect()
}

pub(crate) async fn work_is_sorted_into_its_kinds(Store { storage, .. }: Store) {
    let queued = added(&storage, at(1)).await.id;
    let started = added(&storage, at(2)).await.id;
    running(&storage, started).await;
    let done = added(&storage, at(3)).await.id;
    running(&storage, done).await;
    changed(&storage, done, &[success(done, 1)]).await;
    let cancelled = added(&storage, at(4)).await.id;
    changed(&storage, cancelled, &[Change::Cancel]).await;
    let told = added(&storage, at(5)).await.id;
    changed(&storage, told, &[Change::Announced]).await;
    let later = added(&storage, at(6)).await.id;
    let trouble = Change::Release { attempt: 1, cause: Cause::NeverStarted("no room".to_owned()) };
    let later_at =
        changed(&storage, later, &[Change::Dispatch { attempt: 1 }, trouble]).await.not_before;

    let due = async |now| -> Vec<_> {
        due(&storage, now, 100, &[]).await.iter().map(|record| record.id).collect()
    };
    assert_eq!(due(Timestamp::now()).await, [queued, told]);
    assert_eq!(due(later_at).await, [queued, told, later]);
    assert_eq!(due(at(0)).await, []);
    assert_eq!(ids(&storage, Work::Running).await, [started]);
    assert_eq!(ids(&storage, Work::Unannounced).await, [queued, started, later]);
    assert_eq!(ids(&storage, Work::Unpublished).await, [done]);
    changed(&storage, done, &[Change::Published]).await;
    assert_eq!(ids(&storage, Work::Unpublished).await, []);
}

pub(crate) async fn work_comes_longest_waiting_first(Store { storage, .. }: Store) {
    // Added in another order than they were made in.
    let mut records = Vec::new();
    for second in [5, 3, 8, 1, 3, 2] {
        records.push(added(&storage, at(second)).await);
    }
    records.sort_by_key(|record| (record.created_at, record.id));
    assert_eq!(due(&storage, at(9), 100, &[]).await, records);
    assert_eq!(due(&storage, at(9), 4, &[]).await, records[..4]);
    assert_eq!(due(&storage, at(9), 1, &[]).await, records[..1]);
    assert_eq!(storage.work(Work::Unannounced, 4).await.unwrap(), records[..4]);
    for record in &mut records {
        *record = running(&storage, record.id).await;
    }
    assert_eq!(storage.work(Work::Running, 100).await.unwrap(), records);
    assert_eq!(storage.work(Work::Unannounced, 3).await.unwrap(), records[..3]);
    for record in &mut records {
        *record = changed(&storage, record.id, &[success(record.id, 1)]).await;
    }
    assert_eq!(storage.work(Work::Unpublished, 4).await.unwrap(), records[..4]);
}

pub(crate) async fn the_backlog_is_what_is_queued(Store { storage, .. }: Store) {
    storage.ping().await.unwrap();
    assert_eq!(storage.backlog().await.unwrap(), Backlog::default());
    for second in [30, 10, 20] {
        added(&storage, at(second)).await;
    }
    let first = added(&storage, at(5)).await.id;
    assert_eq!(storage.backlog().await.unwrap(), Backlog { waiting: 4, oldest: Some(at(5)) });
    running(&storage, first).await;
    assert_eq!(storage.backlog().await.unwrap(), Backlog { waiting: 3, oldest: Some(at(10)) });
}

pub(crate) async fn the_next_due_time_is_the_nearest(Store { storage, .. }: Store) {
    assert_eq!(storage.next_due(at(0)).await.unwrap(), None);
    for second in [30, 10, 20] {
        added(&storage, at(second)).await;
    }
    let cancelled = added(&storage, at(5)).await.id;
    changed(&storage, cancelled, &[Change::Cancel]).await;
    assert_eq!(storage.next_due(at(0)).await.unwrap(), Some(at(10)));
    assert_eq!(storage.next_due(at(10)).await.unwrap(), Some(at(20)));
    let just_before = at(20) - SignedDuration::from_millis(1);
    assert_eq!(storage.next_due(just_before).await.unwrap(), Some(at(20)));
    assert_eq!(storage.next_due(at(30)).await.unwrap(), None);
}
