//! Forecasts of small crowds, each worked out by hand.

use super::*;
use crate::{Pace, conversion::tests::queued};
use proptest::prelude::*;

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[track_caller]
fn assert_is(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} instead of {wanted}");
}

/// Two seconds, and one more for each megabyte.
fn two_and_one_each() -> Speed {
    let mut speed = Speed::default();
    speed.learn(0, seconds(2));
    speed.learn(10_000_000, seconds(12));
    speed
}

fn waiting(count: u64, megabytes: u64) -> Waiting {
    Waiting { count, bytes: megabytes * 1_000_000 }
}

fn share(owner: &str, lane: Lane, waiting: Waiting, oldest: i64) -> Share {
    Share { owner: owner.parse().unwrap(), lane, waiting, oldest: at(oldest) }
}

/// One of ada's.
fn conversion(megabytes: u64) -> Conversion {
    Conversion { video_bytes: megabytes * 1_000_000, created_at: at(1000), ..queued() }
}

fn in_batch(megabytes: u64) -> Conversion {
    Conversion { batch: Some("louder".parse().unwrap()), ..conversion(megabytes) }
}

fn crowd(slots: u32, per_user: u32) -> Crowd {
    Crowd { capacity: Capacity { slots, per_user, speed: two_and_one_each() }, ..Crowd::default() }
}

fn runs(owner: &str, lane: Lane, left: f64) -> (UserName, Lane, f64) {
    (owner.parse().unwrap(), lane, left)
}

#[test]
fn a_line_through_what_was_measured() {
    let mut speed = Speed::default();
    assert_eq!(speed.seconds(1e6), None);
    speed.learn(10_000_000, seconds(7));
    assert_is(speed.seconds(90e6).unwrap(), 7.0);
    for _ in 0..20 {
        speed.learn(10_000_000, seconds(7));
        speed.learn(100_000_000, seconds(25));
    }
    for (megabytes, wanted) in [(10.0, 7.0), (100.0, 25.0), (50.0, 15.0), (0.0, 5.0)] {
        assert_is(speed.seconds(megabytes * 1e6).unwrap(), wanted);
    }
}

#[test]
fn what_was_measured_long_ago_fades() {
    let mut speed = Speed::default();
    (0..100).for_each(|_| speed.learn(10_000_000, seconds(100)));
    (0..300).for_each(|_| speed.learn(10_000_000, seconds(10)));
    assert!((speed.seconds(10e6).unwrap() - 10.0).abs() < 0.5);
}

#[test]
fn where_size_says_nothing_the_mean_counts() {
    let mut speed = Speed::default();
    speed.learn(1_000_000, seconds(20));
    speed.learn(3_000_000, seconds(2));
    assert_is(speed.seconds(500e6).unwrap(), (20.0 * FADE + 2.0) / (FADE + 1.0));
}

#[test]
fn videos_of_one_size_say_nothing_of_others() {
    let mut speed = Speed::default();
    (0..200).for_each(|n| speed.learn(9_876_543_210, seconds(90 + n % 20)));
    let found = speed.seconds(1e6).unwrap();
    assert!((90.0..110.0).contains(&found), "{found}");
}

#[test]
fn a_line_that_begins_below_zero_begins_at_zero() {
    let mut speed = Speed::default();
    speed.learn(50_000_000, seconds(1));
    speed.learn(100_000_000, seconds(50));
    let each = (FADE + 50.0) / (50.0 * FADE + 100.0);
    assert_is(speed.seconds(0.0).unwrap(), 0.0);
    assert_is(speed.seconds(60e6).unwrap(), each * 60.0);
}

proptest! {
    #[test]
    fn nothing_takes_less_than_no_time(
        measured in prop::collection::vec((0..10_000_000_000_u64, -5..10_000_i64), 1..20),
        bytes in 0.0..1e10,
    ) {
        let mut speed = Speed::default();
        measured.into_iter().for_each(|(bytes, took)| speed.learn(bytes, seconds(took)));
        let found = speed.seconds(bytes).unwrap();
        prop_assert!(found >= 0.0, "{found}");
    }
}

#[test]
fn what_runs_has_left_what_it_says_else_what_others_took() {
    let begun = Conversion { dispatched_at: Some(at(2000)), ..conversion(8) };
    let pace = Pace { hundredths: 100, seconds_left: 10 };
    let told = Conversion { pace: Some(pace), alive_at: Some(at(2001)), ..begun.clone() };
    let held = Conversion { waiting: Some("held back".to_owned()), ..begun.clone() };
    let mut crowd = crowd(2, 2);
    crowd.add_running(&told, at(2005));
    crowd.add_running(&told, at(2050));
    crowd.add_running(&begun, at(2003));
    crowd.add_running(&begun, at(2050));
    crowd.add_running(&held, at(2003));
    crowd.capacity.speed = Speed::default();
    crowd.add_running(&begun, at(2003));
    let left: Vec<_> = crowd.running.iter().map(|(.., left)| *left).collect();
    for (left, wanted) in left.into_iter().zip([6.0, 0.0, 7.0, 0.0, 10.0, 0.0]) {
        assert_is(left, wanted);
    }
    assert_eq!(crowd.running.len(), 6);
    assert!(
        crowd
            .running
            .iter()
            .all(|(owner, lane, _)| owner.as_str() == "ada" && *lane == Lane::Interactive)
    );
}

#[test]
fn before_an_upload_is_what_is_as_far_down_in_its_owners_queue() {
    let mut crowd = crowd(4, 4);
    // The third of ada's, of whose another is at work.
    let mine = conversion(1);
    crowd.running = vec![
        runs("ada", Lane::Interactive, 1.0),
        runs("ada", Lane::Bulk, 1.0),
        runs("ada", Lane::Bulk, 1.0),
        runs("bob", Lane::Interactive, 1.0),
    ];
    crowd.shares = vec![
        share("ada", Lane::Bulk, waiting(9, 9), 100),
        share("ada", Lane::Interactive, waiting(4, 40), 500),
        // Has waited longer, so that one more of theirs goes first; one is at work.
        share("bob", Lane::Interactive, waiting(5, 50), 499),
        share("bob", Lane::Bulk, waiting(7, 70), 1),
        share("eve", Lane::Interactive, waiting(10, 200), 500),
        share("fay", Lane::Interactive, waiting(1, 7), 501),
    ];
    assert_eq!(crowd.before(&mine, waiting(2, 20)), waiting(2 + 3 + 3 + 1, 20 + 30 + 60 + 7));
    assert_eq!(crowd.place(&mine, waiting(2, 20)).position, 10);
    crowd.capacity.speed = Speed::default();
    assert_eq!(crowd.place(&mine, waiting(2, 20)), Place { position: 10, seconds: None });
}

#[test]
fn before_one_of_a_batch_are_all_uploads() {
    let mut crowd = crowd(4, 4);
    crowd.shares = vec![
        share("ada", Lane::Interactive, waiting(3, 30), 900),
        share("ada", Lane::Bulk, waiting(5, 50), 500),
        share("bob", Lane::Interactive, waiting(4, 40), 900),
        share("bob", Lane::Bulk, waiting(8, 80), 600),
    ];
    assert_eq!(crowd.before(&in_batch(1), waiting(2, 20)), waiting(2 + 3 + 4 + 2, 110));
}

#[test]
fn one_whose_share_is_not_summed_up_yet_counts_from_its_own_time() {
    let mut crowd = crowd(4, 4);
    let of_bob = |oldest| vec![share("bob", Lane::Interactive, waiting(5, 50), oldest)];
    for (oldest, wanted) in [(999, waiting(1, 10)), (1000, waiting(0, 0)), (1001, waiting(0, 0))] {
        crowd.shares = of_bob(oldest);
        assert_eq!(crowd.before(&conversion(1), waiting(0, 0)), wanted, "{oldest}");
    }
}

#[test]
fn those_who_are_not_here_yet_take_their_part() {
    let mut crowd = crowd(2, 2);
    // Nine of ten seconds each in 900 s: a tenth of one slot.
    crowd.arrivals = vec![
        ("ada".parse().unwrap(), waiting(100, 1000)),
        ("bob".parse().unwrap(), waiting(9, 72)),
    ];
    assert_is(crowd.overtaken(&in_batch(1), waiting(5, 5)), 0.05);
    assert_is(crowd.overtaken(&conversion(1), waiting(0, 0)), 0.0);
    assert_is(crowd.overtaken(&conversion(1), waiting(5, 5)), 0.3 * 0.05);
    crowd.capacity.slots = 0;
    assert_is(crowd.overtaken(&in_batch(1), waiting(5, 5)), 0.1);
    crowd.arrivals[1].1 = waiting(900, 7200);
    assert_is(crowd.overtaken(&in_batch(1), waiting(5, 5)), MOST_OVERTAKEN);
}

#[test]
fn it_is_done_when_those_before_are_and_it_has_taken_its_own_time() {
    let (mine, ahead) = (conversion(8), waiting(1, 3));
    let mut one = crowd(1, 1);
    one.running = vec![runs("bob", Lane::Interactive, 4.0)];
    one.arrivals = vec![("bob".parse().unwrap(), waiting(9, 72))];
    assert_is(one.place(&mine, ahead).seconds.unwrap(), 9.0 / 0.99 + 10.0);
    // Slots enough, of which its owner may have but one.
    let mut many = crowd(10, 1);
    many.running = vec![runs("ada", Lane::Interactive, 30.0), runs("bob", Lane::Interactive, 90.0)];
    assert_is(many.place(&mine, ahead).seconds.unwrap(), 35.0 + 10.0);
    // Without any before it, and with some of no bytes.
    assert_is(crowd(1, 1).place(&mine, waiting(0, 0)).seconds.unwrap(), 10.0);
    assert_is(crowd(1, 1).place(&mine, waiting(3, 0)).seconds.unwrap(), 6.0 + 10.0);
}

#[test]
fn a_slot_is_free_when_those_before_are_done() {
    for (slots, running, count, wanted) in [
        (2, vec![], 0, 0.0),
        (2, vec![4.0], 0, 0.0),
        (2, vec![4.0, 6.0], 0, 4.0),
        (2, vec![4.0, 6.0], 1, 6.0),
        (2, vec![4.0, 6.0], 2, 13.0),
        (1, vec![4.0, 6.0], 0, 6.0),
        (0, vec![4.0, 6.0], 0, 6.0),
        (3, vec![4.0], 2, 4.0),
    ] {
        assert_is(start(slots, running, count, 9.0), wanted);
    }
    assert!(start(u32::MAX, vec![4.0], 20_000, 9.0) < 1.0);
    // Beyond ten thousand they are shared evenly.
    assert_is(start(2, vec![1.0, 3.0], ONE_BY_ONE + 4, 2.0), 1.0 + 4.0 + 10_000.0);
    assert_is(start(10, vec![5.0; 10], 1_000_000, 2.0), 200_005.0);
}
