//! The scenarios. Each is one story, told to both stacks unless it can only happen on one.

mod bad_input;
mod batches;
mod busy;
mod connections;
mod deaths;
mod doctor;
mod faults;
mod jobs;
mod nodes;
mod operators;
mod original;
mod parts;
mod policies;
mod quotas;
mod repeats;
mod standby;
mod starts;
mod suite;
mod uploads;

use crate::{
    Result,
    stack::{Settings, Stack, Which},
};
use futures::future::LocalBoxFuture;

/// A story and the stack that it wants.
pub(crate) struct Scenario {
    /// A sentence.
    pub(crate) name: &'static str,
    /// What must be different from the default.
    pub(crate) settings: Settings,
    /// The only stack that it can be told to.
    pub(crate) only: Option<Which>,
    /// Whether it mounts something.
    pub(crate) own_mounts: bool,
    /// Whether it takes minutes, and is left to `make soak`.
    pub(crate) soak: bool,
    /// The story.
    pub(crate) test: for<'a> fn(&'a mut Stack) -> LocalBoxFuture<'a, Result>,
}

const USUAL: Settings = Settings {
    max_jobs: 3,
    job_ttl_seconds: 600,
    max_upload_bytes: 64 << 20,
    pending_limit_seconds: 300,
    memory_mib: 512,
    image: None,
    standby: false,
    proxied: false,
    breakable: false,
};
const PROXIED: Settings = Settings { proxied: true, ..USUAL };
const BREAKABLE: Settings = Settings { breakable: true, ..USUAL };

macro_rules! scenarios {
    ($($module:ident::$name:ident $(, $field:ident: $value:expr)* ;)*) => {
        /// All of them.
        pub(crate) const ALL: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            test: |stack| Box::pin($module::$name(stack)),
            $($field: $value,)*
            ..USUALLY
        },)*];
    };
}

const USUALLY: Scenario = Scenario {
    name: "",
    settings: USUAL,
    only: None,
    own_mounts: false,
    soak: false,
    test: |_| Box::pin(async { Ok(()) }),
};

scenarios! {
    suite::a_random_fault_every_few_seconds, only: Some(Which::Cluster),
        settings: Settings { proxied: true, standby: true, max_jobs: 8, job_ttl_seconds: 5, ..BREAKABLE };
    suite::the_cluster_checker_sees_every_damage, only: Some(Which::Cluster);
    parts::rabbitmq_is_killed_thrice, only: Some(Which::Cluster), soak: true, settings: BREAKABLE;
    parts::mongod_is_killed_thrice, only: Some(Which::Cluster), settings: BREAKABLE;
    parts::the_api_server_is_away_for_30_s, only: Some(Which::Cluster), soak: true, settings: BREAKABLE;
    parts::kubelet_and_mariadb_are_away_for_a_minute, only: Some(Which::Cluster), soak: true, settings: BREAKABLE;
    uploads::two_users_upload_ten_clips_at_once, settings: Settings { job_ttl_seconds: 5, ..USUAL };
    deaths::the_dispatcher_is_killed_at_thirty_random_moments, only: Some(Which::Cluster);
    deaths::a_killed_converter_is_replaced_within_20_s, settings: Settings { max_jobs: 1, ..USUAL };
    nodes::a_lost_node_is_replaced_within_20_s, only: Some(Which::Cluster), settings: BREAKABLE;
    nodes::what_had_not_begun_on_a_lost_node_goes_elsewhere, only: Some(Which::Cluster), soak: true,
        settings: BREAKABLE;
    busy::nobody_alive_is_taken_for_dead_nor_made_to_wait, only: Some(Which::Cluster), soak: true,
        settings: Settings { max_jobs: busy::SLOTS, ..USUAL };
    deaths::broker_wiped_and_all_jobs_deleted, only: Some(Which::Cluster);
    deaths::messages_lost_while_the_server_is_down, only: Some(Which::Embedded);
    faults::the_checker_sees_every_damage, only: Some(Which::Embedded);
    faults::the_server_is_killed_fifty_times, only: Some(Which::Embedded);
    faults::runners_and_decoders_are_killed, only: Some(Which::Embedded);
    faults::every_child_is_started_twice, only: Some(Which::Embedded);
    faults::the_disk_is_full_at_random_moments, only: Some(Which::Embedded), own_mounts: true;
    faults::the_power_is_cut_twenty_times, only: Some(Which::Embedded);
    jobs::jobs_and_pods_are_deleted, only: Some(Which::Cluster), soak: true;
    jobs::memory_runs_out, only: Some(Which::Cluster),
        settings: Settings { memory_mib: 10, ..USUAL };
    jobs::a_stopped_attempt_goes_on_after_the_sweeper, only: Some(Which::Cluster), soak: true;
    jobs::an_image_cannot_be_pulled, only: Some(Which::Cluster),
        settings: Settings { image: Some("localhost/no-such-image:1"), pending_limit_seconds: 4, ..USUAL };
    jobs::a_message_after_the_jobs_ttl_makes_no_job, only: Some(Which::Cluster),
        settings: Settings { job_ttl_seconds: 2, ..USUAL };
    connections::uploads_need_no_broker, only: Some(Which::Cluster), settings: PROXIED;
    connections::a_long_mp3_over_a_slow_connection_is_nobody_silent, only: Some(Which::Cluster),
        soak: true, settings: PROXIED;
    connections::any_connection_is_cut_slowed_or_reset, only: Some(Which::Cluster), soak: true, settings: PROXIED;
    connections::answers_are_lost_after_the_deed, only: Some(Which::Cluster), soak: true, settings: PROXIED;
    repeats::every_attempt_is_started_twice;
    repeats::the_same_message_three_times_makes_one_job;
    repeats::one_idempotency_key_makes_one_conversion;
    bad_input::each_bad_file_has_its_reason;
    bad_input::strangers_see_nothing, settings: Settings { max_upload_bytes: 1 << 20, ..USUAL };
    batches::a_batch_converts_each_video_once_behind_uploads, settings: Settings { max_jobs: 1, ..USUAL };
    batches::a_cancelled_batch_leaves_what_is_there;
    batches::the_shipped_manifest_converts_once_more, only: Some(Which::Cluster);
    operators::kubectl_tells_whose_job_it_is_and_why_it_failed, only: Some(Which::Cluster);
    operators::services_end_what_they_have_in_hand, only: Some(Which::Cluster);
    operators::a_scrape_has_the_metrics_of_the_page_and_no_others, only: Some(Which::Embedded);
    doctor::the_doctor_finds_each_fault_and_its_fix, only: Some(Which::Cluster);
    starts::services_wait_for_what_they_need, only: Some(Which::Cluster), settings: PROXIED;
    starts::a_dispatcher_that_may_not_have_the_lease_is_not_ready, only: Some(Which::Cluster);
    policies::a_stolen_dispatcher_token_is_worth_little, only: Some(Which::Cluster);
    policies::a_job_that_no_policy_lets_pass_is_told_at_the_start, only: Some(Which::Cluster);
    quotas::kueue_admits_the_jobs_of_its_queue, only: Some(Which::Cluster);
    quotas::a_full_quota_is_no_failure, only: Some(Which::Cluster),
        settings: Settings { job_ttl_seconds: 1, ..USUAL };
    standby::another_dispatcher_takes_over, only: Some(Which::Cluster),
        settings: Settings { standby: true, ..USUAL };
    standby::a_frozen_dispatcher_does_no_harm, only: Some(Which::Cluster),
        settings: Settings { standby: true, max_jobs: 2, ..USUAL };
    original::its_clients_work_unchanged;
    original::its_producers_work_unchanged, only: Some(Which::Cluster);
    original::its_videos_are_imported, only: Some(Which::Cluster);
}
