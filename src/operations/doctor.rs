//! `doctor`: looks at all that a running system needs, and says what to do about what is wrong. It changes
//! nothing. Where the environment is a dispatcher's it looks at the cluster, else at this machine.

mod cluster;
mod converter;
mod machine;

use crate::{command::Context, config::Cluster, error::Error, program};
use domain::{Condition, Finding};
use std::{net::SocketAddr, path::PathBuf};

/// What `serve` is called with, on one machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder where `serve` has its data.
    #[arg(long, value_name = "FOLDER", default_value = "./data")]
    data: PathBuf,
    /// The address where `serve` listens.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// The end of its help.
pub(crate) const HELP: &str = "\
Examples:
  audio-converter doctor                            # of `audio-converter serve`
  audio-converter doctor --data /data --json
  STORAGE_URL=mongodb://.. QUEUE_URL=amqp://.. DISPATCHER_NAMESPACE=audio-converter-jobs \\
    CONVERTER_IMAGE=.. KUBECONFIG=.. audio-converter doctor

Where STORAGE_URL names a MongoDB it looks at that cluster, with the settings of the dispatcher and,
where it is set, AUTH_DATABASE_URL.";

/// Tells each finding as it comes.
struct Report<'a> {
    context: &'a Context,
    all: usize,
    failed: usize,
}

/// Looks at everything. An error where something does not work.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let mut report = Report { context, all: 0, failed: 0 };
    match Cluster::from_env()? {
        Some(cluster) => cluster::examine(&cluster, arguments, &mut report).await?,
        None => machine::examine(arguments, &mut report).await?,
    }
    match report {
        Report { failed: 0, .. } => Ok(()),
        Report { failed, all, .. } => Err(Error::Some { what: "checks", failed, all }),
    }
}

impl Report<'_> {
    fn converter(&self) -> PathBuf {
        program::converter_job(self.context.config.converter_job.as_deref())
    }

    fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.all += 1;
            self.failed += usize::from(finding.state == Condition::Fail);
            self.context.show(&finding, || lines(&finding));
        }
    }
}

fn lines(finding: &Finding) -> String {
    let Finding { what, state, detail, fix } = finding;
    let state = match state {
        Condition::Ok => "ok  ",
        Condition::Warn => "warn",
        Condition::Fail => "fail",
    };
    let fix = fix.as_ref().map_or_else(String::new, |fix| format!("\n      fix: {fix}"));
    format!("{state}  {what}: {detail}{fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_has_a_second_line() {
        assert_eq!(lines(&Finding::ok("disk", "9 GiB free")), "ok    disk: 9 GiB free");
        let full = lines(&Finding::fail("disk", "0 GiB free", "free some"));
        assert_eq!(full, "fail  disk: 0 GiB free\n      fix: free some");
    }
}
