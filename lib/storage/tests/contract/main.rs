//! What every store promises, said once and held by all: `embedded::*` runs in a folder that is
//! thrown away, `mongodb::*` in a database of its own on the server at `MONGODB_URL` (an address
//! without a database), which it drops at the end, and `replica_set::*` on sets that are started for
//! it with the program that `MONGOD` names. Without these they count as ignored, loudly; with
//! `CI=true` that is a failure.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap in a test is a failed test"
)]

mod beside;
mod blobs;
mod foreign;
mod lifetimes;
mod lists;
mod records;
mod replica_set;
mod sharing;
mod store;

use libtest_mimic::{Arguments, Failed, Trial};
use replica_set::ReplicaSet;
use std::{env, process::ExitCode};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    if sharing::is_claiming_process() {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let (server, mongod) = (env::var("MONGODB_URL").ok(), env::var_os("MONGOD"));
    let absent = [("mongodb", server.is_none()), ("replica_set", mongod.is_none())];
    for (what, _) in absent.iter().filter(|(_, absent)| *absent) {
        eprintln!("\nSKIPPED: {what}::*: MONGODB_URL or MONGOD is not set\n");
        if env::var("CI").is_ok_and(|ci| ci == "true") && env::var("CLUSTER_MAY_BE_ABSENT").is_err()
        {
            eprintln!("in CI nothing may be skipped");
            return ExitCode::FAILURE;
        }
    }
    // Started here, on the thread that lives longest. Only where a test of it may run.
    let wanted = mongod.is_some() && !arguments.list;
    let set = wanted.then(|| ReplicaSet::start(1));
    if let Some(set) = &set {
        run(Builder::new_current_thread(), set.initiate()).unwrap_or_default();
    }
    let three = wanted.then(|| ReplicaSet::start(3));
    let mut trials = held_by_all(server, set.as_ref().map(ReplicaSet::server));
    trials.push(Trial::test("blobs::a_full_disk_is_said_to_be_full", || {
        run(Builder::new_current_thread(), blobs::a_full_disk_is_said_to_be_full())
    }));
    let ignored = three.is_none();
    let killed = move || match three {
        Some(three) => run(
            Builder::new_multi_thread(),
            replica_set::a_killed_primary_takes_nothing_along(three),
        ),
        None => Ok(()),
    };
    let killed = Trial::test("replica_set::a_killed_primary_takes_nothing_along", killed);
    trials.push(killed.with_ignored_flag(ignored));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(set);
    conclusion.exit_code()
}

fn run(mut runtime: Builder, test: impl Future<Output = ()>) -> Result<(), Failed> {
    runtime.worker_threads(2).enable_all().build()?.block_on(test);
    Ok(())
}

/// Makes each of these tests once for each back end.
macro_rules! held_by_all {
    ($($part:ident::$test:ident)*) => {
        fn held_by_all(mongodb: Option<String>, set: Option<String>) -> Vec<Trial> {
            let mut trials = Vec::new();
            $(
                trials.push(Trial::test(concat!("embedded::", stringify!($test)), || {
                    run(Builder::new_multi_thread(), store::on_embedded($part::$test))
                }));
                for (name, server) in [
                    (concat!("mongodb::", stringify!($test)), mongodb.clone()),
                    (concat!("replica_set::", stringify!($test)), set.clone()),
                ] {
                    let ignored = server.is_none();
                    let server = server.unwrap_or_default();
                    let trial = Trial::test(name, move || {
                        run(Builder::new_multi_thread(), store::on_mongodb(&server, $part::$test))
                    });
                    trials.push(trial.with_ignored_flag(ignored));
                }
            )*
            trials
        }
    };
}

held_by_all! {
    beside::texts_come_and_go_with_their_file
    beside::a_file_without_texts_has_none
    beside::a_writer_that_does_not_finish_leaves_no_texts
    beside::a_purge_takes_the_texts_along
    blobs::what_is_written_in_any_pieces_is_read_back
    blobs::any_range_is_read_across_every_boundary
    blobs::a_patched_head_counts_in_the_hash
    blobs::a_patch_past_the_end_is_refused
    blobs::an_unfinished_file_cannot_be_opened
    blobs::a_writer_that_dies_at_any_step_leaves_a_marker
    blobs::discarding_leaves_nothing
    blobs::deleting_leaves_nothing_and_repeats
    blobs::a_swept_writer_cannot_finish
    blobs::a_cancelled_append_spoils_the_file
    blobs::markers_come_longest_silent_first
    foreign::a_file_of_the_original_system_is_found_by_its_fid
    foreign::a_foreign_file_with_a_gap_is_damaged
    records::an_accepted_upload_is_all_there
    records::accepting_again_after_a_lost_reply_is_safe
    records::a_duplicate_leaves_no_video_record
    records::of_fifty_with_one_key_one_wins
    records::one_key_serves_each_owner
    records::one_id_is_added_once
    records::what_is_not_there_is_not_found
    records::twenty_parallel_claims_differ
    records::a_result_survives_parallel_progress
    records::a_refusal_changes_nothing
    records::a_conversion_is_found_by_all_that_names_it
    records::reopening_finds_everything
    lists::pages_hold_every_record_once
    lists::pages_filter_by_state
    lists::pages_keep_to_their_bounds
    lists::videos_are_paged_by_owner
    lists::work_is_sorted_into_its_kinds
    lists::work_comes_longest_waiting_first
    lists::of_each_owner_the_first_few_are_due
    lists::the_backlog_is_what_is_queued
    lists::the_next_due_time_is_the_nearest
    lifetimes::usage_follows_what_is_stored
    lifetimes::a_purge_takes_all_that_hangs_on_a_video
    lifetimes::nothing_is_added_to_a_deleted_video
    lifetimes::what_expires_is_found_in_time
    lifetimes::free_space_is_known
    sharing::two_handles_see_one_store
    sharing::processes_that_open_a_new_store_at_once_lose_nothing
}
