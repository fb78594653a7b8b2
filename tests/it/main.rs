//! The integration tests: the same scenarios on both stacks.
//!
//! `embedded` runs `audio-converter serve`; `cluster` runs gateway, auth and dispatcher against the
//! RabbitMQ, MongoDB, MariaDB and Kubernetes whose addresses are in the environment
//! (`tests/cluster/up` writes them). Where there is no cluster its tests count as ignored, loudly;
//! with `CI=true` that is a failure. Every scenario has a stack of its own, so all run in parallel;
//! those that stop parts of the cluster itself have a cluster of their own, `BREAKABLE_CLUSTER`.

mod chance;
mod client;
mod clips;
mod judge;
mod leftovers;
mod mounts;
mod process;
mod proxy;
mod scenarios;
mod stack;
mod told;
mod wait;

use libtest_mimic::{Arguments, Failed, Trial};
use stack::{Stack, Which, site};
use std::{num::NonZero, process::ExitCode};
use tokio::sync::Semaphore;

/// What every test and helper returns.
type Result<T = ()> = anyhow::Result<T>;

/// Ordinary scenarios at once; and one at a time of those that stop parts of the breakable cluster.
static ORDINARY: Semaphore = Semaphore::const_new(0);
static BREAKABLE: Semaphore = Semaphore::const_new(1);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let unmountable = mounts::absent();
    let (cluster, breakable) = (site::absent(false), site::absent(true));
    let absent = [
        ("the cluster stack", cluster.as_deref()),
        ("the cluster whose parts are stopped", breakable.as_deref()),
        ("full disks", unmountable),
    ];
    for (what, why) in absent {
        let Some(why) = why.filter(|_| !mounts::are_own()) else {
            continue;
        };
        eprintln!("\nSKIPPED: {what}: {why}\n");
        if std::env::var("CI").is_ok_and(|ci| ci == "true")
            && std::env::var("CLUSTER_MAY_BE_ABSENT").is_err()
        {
            eprintln!("in CI nothing may be skipped");
            return ExitCode::FAILURE;
        }
    }
    let mut trials = Vec::new();
    let soaking = std::env::var("SOAK_MINUTES").is_ok();
    for scenario in scenarios::ALL {
        for which in [Which::Embedded, Which::Cluster] {
            if scenario.only.is_some_and(|only| only != which) || scenario.soak && !soaking {
                continue;
            }
            let name = format!("{}::{}", which.name(), scenario.name);
            let site = if scenario.settings.breakable { &breakable } else { &cluster };
            let ignored = which == Which::Cluster && site.is_some()
                || scenario.own_mounts && unmountable.is_some();
            let trial = Trial::test(name, move || run(which, scenario)).with_ignored_flag(ignored);
            trials.push(trial);
        }
    }
    // A thread for each: what waits for its turn keeps nothing else from running.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    ORDINARY.add_permits(arguments.test_threads.unwrap_or(cores));
    arguments.test_threads = Some(trials.len());
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(which: Which, scenario: &scenarios::Scenario) -> std::result::Result<(), Failed> {
    // One thread: what it starts dies with it, whatever ends this process.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let turn = if scenario.settings.breakable { &BREAKABLE } else { &ORDINARY };
    let _turn = runtime.block_on(turn.acquire())?;
    if scenario.own_mounts && !mounts::are_own() {
        let name = format!("{}::{}", which.name(), scenario.name);
        return mounts::run_with_own(&name).map_err(|error| Failed::from(format!("{error:#}")));
    }
    runtime.block_on(async {
        let mut stack = Stack::start(which, &scenario.settings).await?;
        let result = (scenario.test)(&mut stack).await;
        if result.is_err() {
            stack.tell();
        }
        stack.end().await;
        result.map_err(|error| Failed::from(format!("{error:#}")))
    })
}
