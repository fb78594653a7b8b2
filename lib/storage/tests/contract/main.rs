//! What every store promises, said once and held by both: `embedded::*` runs in a folder that is
//! thrown away, `mongodb::*` in a database of its own on the server at `MONGODB_URL` (an address
//! without a database), which it drops at the end.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap in a test is a failed test"
)]

mod blobs;
mod lists;
mod records;
mod sharing;
mod store;

/// Makes each of these tests twice, once for each back end.
macro_rules! held_by_both {
    ($($part:ident::$test:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::store::on_embedded(crate::$part::$test).await;
            })*
        }
        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::store::on_mongodb(crate::$part::$test).await;
            })*
        }
    };
}

held_by_both! {
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
    lists::videos_are_paged_by_owner
    lists::work_is_sorted_into_its_kinds
    lists::work_comes_longest_waiting_first
    lists::the_next_due_time_is_the_nearest
    sharing::two_handles_see_one_store
    sharing::processes_that_open_a_new_store_at_once_lose_nothing
}
