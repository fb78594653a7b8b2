//! What a batch matches, what its ids are, and what it can go through.

use super::*;
use crate::{FileName, Role, Sha256};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn video() -> Video {
    Video {
        id: VideoId::generate(),
        owner: "ada".parse().unwrap(),
        name: FileName::from("film.mp4".to_owned()),
        length: 10,
        sha256: Sha256::from([7; 32]),
        created_at: at(0),
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    }
}

fn old(video: &Video, now: Timestamp) -> Conversion {
    let new = NewConversion {
        video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    Conversion::new(ConversionId::generate(), new, now)
}

fn batch(matching: Matching) -> Batch {
    let options = Options { preset: Preset::V0, ..Options::default() };
    let wish = BatchWish { matching, options, replace: false };
    Batch::new("louder".parse().unwrap(), "root".parse().unwrap(), wish, at(100))
}

fn after(batch: &Batch, changes: &[BatchChange]) -> Batch {
    changes
        .iter()
        .fold(batch.clone(), |batch, change| batch.apply(change, at(200)).unwrap().unwrap_or(batch))
}

fn walk(from: Option<ConversionId>, is_last: bool) -> BatchChange {
    let to = Some(ConversionId::generate());
    BatchChange::Walk(Stretch { from, to, found: 2, skipped: 1, is_last })
}

#[test]
fn ids_are_checked() {
    for good in ["a", "0", "louder-2026", &"x".repeat(40), BatchId::generate().as_str()] {
        assert!(good.parse::<BatchId>().is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a/b", &"x".repeat(41)] {
        assert!(bad.parse::<BatchId>().is_err(), "{bad}");
    }
}

#[test]
fn each_part_of_a_match_leaves_others_out() {
    let record = old(&video(), at(10));
    let all = Matching::default();
    let right = Matching {
        owner: Some("ada".parse().unwrap()),
        since: Some(at(10)),
        until: Some(at(11)),
        state: Some(State::Queued),
        preset: Some(Preset::V2),
    };
    assert!(all.matches(&record) && right.matches(&record));
    for wrong in [
        Matching { owner: Some("bob".parse().unwrap()), ..right.clone() },
        Matching { since: Some(at(11)), ..right.clone() },
        Matching { until: Some(at(10)), ..right.clone() },
        Matching { state: Some(State::Failed), ..right.clone() },
        Matching { preset: Some(Preset::V0), ..right.clone() },
    ] {
        assert!(!wrong.matches(&record), "{wrong:?}");
    }
}

#[test]
fn neither_its_own_results_nor_what_came_later_match() {
    let (batch, video) = (batch(Matching::default()), video());
    let early = old(&video, at(99));
    assert!(batch.wants(&early));
    assert!(!batch.wants(&old(&video, at(100))));
    let own = Conversion { created_at: at(50), ..batch.conversion(&early, &video, at(150)) };
    assert!(!batch.wants(&own));
    assert!(Batch { id: "other".parse().unwrap(), ..batch }.wants(&own));
}

#[test]
fn an_id_follows_from_batch_video_and_options_and_sorts_by_the_batches_time() {
    let (batch, video) = (batch(Matching::default()), video());
    let id = batch.conversion_id(video.id);
    assert_eq!(id, batch.conversion_id(video.id));
    assert_eq!(id.uuid().get_version_num(), 7);
    assert!(ConversionId::lowest_at(at(100)) <= id && id < ConversionId::lowest_at(at(101)));
    let mut others = vec![batch.conversion_id(VideoId::generate())];
    others.push(Batch { id: "other".parse().unwrap(), ..batch.clone() }.conversion_id(video.id));
    for options in [
        Options { preset: Preset::V4, ..batch.wish.options.clone() },
        Options { allow_truncated: true, ..batch.wish.options.clone() },
        Options { start: Some("1".parse().unwrap()), ..batch.wish.options.clone() },
        Options { end: Some("1".parse().unwrap()), ..batch.wish.options.clone() },
    ] {
        let wish = BatchWish { options, ..batch.wish.clone() };
        others.push(Batch { wish, ..batch.clone() }.conversion_id(video.id));
    }
    assert!(!others.contains(&id), "{others:?}");
    assert!((1..others.len()).all(|n| !others[n..].contains(&others[n - 1])), "{others:?}");
    // Ids lie in stores: whatever changes here would convert everything again.
    let video = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    assert_eq!(batch.conversion_id(video).to_string(), "00000001-86a0-7e3b-9e1d-bb6f14feb401");
}

#[test]
fn its_conversions_are_bulk_and_others_are_not() {
    let (batch, video) = (batch(Matching::default()), video());
    let early = old(&video, at(1));
    let new = batch.conversion(&early, &video, at(101));
    assert_eq!((early.lane(), new.lane()), (Lane::Interactive, Lane::Bulk));
    assert!(Lane::Interactive < Lane::Bulk);
    assert_eq!((new.options.preset, new.state, new.announced), (Preset::V0, State::Queued, true));
}

#[test]
fn a_stretch_is_walked_once() {
    let batch = batch(Matching::default());
    let first = walk(None, false);
    let once = after(&batch, std::slice::from_ref(&first));
    assert_eq!((once.found, once.skipped, once.walked), (2, 1, false));
    assert_eq!(once.apply(&first, at(200)), Err(BatchRefused::Superseded));
    let end = after(&once, &[walk(once.cursor, true)]);
    assert_eq!((end.found, end.walked, end.state), (4, true, BatchState::Running));
    assert_eq!(once.apply(&BatchChange::Finish, at(200)), Err(BatchRefused::Superseded));
    let done = after(&end, &[BatchChange::Finish]);
    assert_eq!((done.state, done.finished_at), (BatchState::Done, Some(at(200))));
    assert_eq!(done.apply(&BatchChange::Finish, at(300)), Ok(None));
}

#[test]
fn a_paused_batch_stands_still_until_it_is_resumed() {
    let paused = after(&batch(Matching::default()), &[BatchChange::Pause, BatchChange::Pause]);
    assert_eq!(paused.apply(&walk(None, true), at(200)), Err(BatchRefused::Superseded));
    assert_eq!(paused.apply(&BatchChange::Finish, at(200)), Err(BatchRefused::Superseded));
    let on = after(&paused, &[BatchChange::Resume, walk(None, true), BatchChange::Finish]);
    assert_eq!(on.state, BatchState::Done);
}

#[test]
fn what_is_final_stays() {
    let start = batch(Matching::default());
    let cancelled = after(&start, &[BatchChange::Pause, BatchChange::Cancel]);
    assert!(cancelled.is_open());
    assert_eq!(cancelled.apply(&walk(None, true), at(200)), Err(BatchRefused::Superseded));
    let ended = after(&cancelled, &[BatchChange::Finish, BatchChange::Cancel]);
    assert_eq!((ended.state, ended.is_open()), (BatchState::Cancelled, false));
    let done = after(&start, &[walk(None, true), BatchChange::Finish]);
    for (batch, changes) in [
        (&ended, vec![BatchChange::Pause, BatchChange::Resume]),
        (&done, vec![BatchChange::Pause, BatchChange::Resume, BatchChange::Cancel]),
    ] {
        for change in changes {
            assert_eq!(batch.apply(&change, at(300)), Err(BatchRefused::Final(batch.state)));
        }
    }
}
