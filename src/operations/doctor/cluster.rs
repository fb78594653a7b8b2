//! A cluster, as its dispatcher sees it.

use super::{Arguments, Report, converter};
use crate::{config::Cluster, embedded, error::Error};
use dispatcher::{config::Runner, launcher};
use secrecy::ExposeSecret;

pub(super) async fn examine(
    cluster: &Cluster,
    arguments: &Arguments,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let least_free_bytes = embedded::gateway(arguments.listen)?.min_free_bytes;
    let dispatcher = &cluster.dispatcher;
    if let Runner::Kubernetes(jobs, lease) = &dispatcher.runner {
        report.tell(launcher::examine(jobs, lease).await);
    }
    let storage = dispatcher.storage_url.expose_secret();
    report.tell(storage::examine(storage, least_free_bytes).await);
    report.tell(queue::examine(dispatcher.queue_url.expose_secret()).await);
    if let Some(accounts) = &cluster.accounts {
        report.tell([auth::examine(accounts).await]);
    }
    // Jobs have theirs in an image. Where there is one here, as in the image of this program, it tells
    // whether converters can work on this node.
    let program = report.converter();
    if converter::is_there(&program).await {
        report.tell(converter::examine(&program).await);
    }
    Ok(())
}
