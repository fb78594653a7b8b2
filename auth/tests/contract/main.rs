//! What the service promises, checked over both databases. SQLite always runs, in a folder of its
//! own; MySQL runs where `MYSQL_URL` names a server, in a database that each test makes and drops.
//! Elsewhere its tests count as ignored, loudly; with `CI=true` that is a failure.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap here is a failed test")]

mod backend;
mod client;
mod command;
mod delay;
mod forged;
mod keys;
mod login;
mod routes;
mod start;
mod tokens;
mod users;

use backend::Backend;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{env, process::ExitCode};
use tokio::runtime::Builder;

/// One test per database out of each scenario.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        pub(crate) fn trials() -> impl Iterator<Item = libtest_mimic::Trial> {
            let name = |scenario| format!("{}::{scenario}", module_path!());
            [$(crate::pair(&name(stringify!($scenario)), $scenario)),*].into_iter().flatten()
        }
    };
}
pub(crate) use on_both;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if mysql_is_absent() {
        eprintln!("\nSKIPPED: *::mysql: MYSQL_URL is not set\n");
        if env::var("CI").is_ok_and(|ci| ci == "true") && env::var("CLUSTER_MAY_BE_ABSENT").is_err()
        {
            eprintln!("in CI nothing may be skipped");
            return ExitCode::FAILURE;
        }
    }
    let trials = command::trials().chain(forged::trials()).chain(login::trials());
    let trials = trials.chain(routes::trials()).chain(start::trials()).chain(users::trials());
    let trials = trials.chain(tokens::trials()).chain(delay::trials()).chain(keys::trials());
    let trials = trials.collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn mysql_is_absent() -> bool {
    env::var("MYSQL_URL").is_err()
}

fn pair(path: &str, scenario: impl AsyncFnOnce(&Backend) + Copy + Send + 'static) -> [Trial; 2] {
    let name = path.trim_start_matches("contract::");
    let mysql = async move || Backend::mysql().await.run(scenario).await;
    [
        Trial::test(format!("{name}::sqlite"), move || run(Backend::sqlite().run(scenario))),
        Trial::test(format!("{name}::mysql"), move || run(mysql()))
            .with_ignored_flag(mysql_is_absent()),
    ]
}

fn run(test: impl Future<Output = ()>) -> Result<(), Failed> {
    Builder::new_current_thread().enable_all().build()?.block_on(test);
    Ok(())
}
