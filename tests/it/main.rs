//! The integration tests: the same scenarios on both stacks.
//!
//! `embedded` runs `audio-converter serve`; `cluster` runs gateway, auth and dispatcher against the
//! RabbitMQ, MongoDB, MariaDB and Kubernetes whose addresses are in the environment
//! (`tests/cluster/up` writes them). Where there is no cluster its tests count as ignored, loudly;
//! with `CI=true` that is a failure. Every scenario has a stack of its own, so all run in parallel.

mod client;
mod clips;
mod judge;
mod mounts;
mod process;
mod scenarios;
mod stack;
mod told;
mod wait;

use libtest_mimic::{Arguments, Failed, Trial};
use stack::{Stack, Which};
use std::process::ExitCode;

/// What every test and helper returns.
type Result<T = ()> = anyhow::Result<T>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let absent = stack::absent(Which::Cluster);
    let unmountable = mounts::absent();
    for (what, why) in [("the cluster stack", absent.as_deref()), ("full disks", unmountable)] {
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
    for scenario in scenarios::ALL {
        for which in [Which::Embedded, Which::Cluster] {
            if scenario.only.is_some_and(|only| only != which) {
                continue;
            }
            let name = format!("{}::{}", which.name(), scenario.name);
            let ignored = which == Which::Cluster && absent.is_some()
                || scenario.own_mounts && unmountable.is_some();
            let trial = Trial::test(name, move || run(which, scenario)).with_ignored_flag(ignored);
            trials.push(trial);
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(which: Which, scenario: &scenarios::Scenario) -> std::result::Result<(), Failed> {
    if scenario.own_mounts && !mounts::are_own() {
        let name = format!("{}::{}", which.name(), scenario.name);
        return mounts::run_with_own(&name).map_err(|error| Failed::from(format!("{error:#}")));
    }
    // One thread: what it starts dies with it, whatever ends this process.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
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
