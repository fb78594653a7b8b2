//! Services that are started before what they need, as by one `kubectl apply` of everything.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each},
    stack::{Stack, free_port},
    wait,
};
use anyhow::ensure;
use std::time::Duration;

const NAMES: [&str; 3] = ["auth", "gateway", "dispatcher"];
const SAID: &str = "waiting for what is needed to start";
/// What ends at once ends within this time.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(super) async fn services_wait_for_what_they_need(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster_mut()?;
    NAMES.iter().for_each(|name| cluster.kill(name));
    let links = cluster.links()?;
    [&links.accounts, &links.storage, &links.kubernetes].iter().for_each(|link| link.refuse());
    let mut admins = Vec::new();
    for service in cluster.services() {
        let admin = format!("127.0.0.1:{}", free_port()?);
        service.settings.push(("ADMIN_LISTEN", admin.clone()));
        admins.push(admin);
    }
    cluster.revive()?;
    for (admin, why) in admins.iter().zip(["accounts", "storage", "storage"]) {
        waits(admin, why).await?;
    }
    cluster.services()[0].terminate()?;
    let ended = async || cluster.services()[0].exit_code();
    ensure!(wait::until("auth to end", AT_ONCE, ended).await? == 0, "it did not end well");
    cluster.revive()?;
    waits(&admins[0], "accounts").await?;
    let links = cluster.links()?;
    links.accounts.pass();
    links.storage.pass();
    waits(&admins[2], "cannot run jobs now").await?;
    cluster.links()?.kubernetes.pass();
    for admin in &admins {
        let ready = async || Ok(ask(admin, "readyz").await? == (200, "ok\n".to_owned()));
        wait::until_true("a service to be ready", LONG, ready).await?;
    }
    for (service, starts) in cluster.services().iter().zip([2, 1, 1]) {
        let log = service.log();
        ensure!(log.matches(SAID).count() == starts, "{log}");
        ensure!(log.contains("what was waited for is there"), "{log}");
    }
    let clip = clips::clip(stack.folder(), 440, 1.0)?;
    let accepted = Accepted { id: user.upload(&clip).await?, client: user, clip };
    one_mp3_each(stack, &[accepted]).await?;
    what_waiting_cannot_mend_ends_it(stack).await
}

/// It says why it is not ready, and lives.
async fn waits(admin: &str, why: &str) -> Result {
    let said = async || {
        let (status, text) = ask(admin, "readyz").await?;
        Ok(status == 503 && text.starts_with("waiting: ") && text.contains(why))
    };
    wait::until_true(&format!("the reason {why}"), LONG, said).await?;
    ensure!(ask(admin, "healthz").await?.0 == 200, "it seems dead");
    Ok(())
}

async fn ask(admin: &str, path: &str) -> Result<(u16, String)> {
    let answer = reqwest::get(format!("http://{admin}/{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

async fn what_waiting_cannot_mend_ends_it(stack: &mut Stack) -> Result {
    let cluster = stack.cluster_mut()?;
    for (variable, value, why) in [
        ("STORAGE_URL", "mongodb://127.0.0.1", "must name a database"),
        ("KUBECONFIG", "/no/such/file", "no cluster is known"),
    ] {
        cluster.kill("dispatcher");
        let before = cluster.dispatcher.settings.clone();
        cluster.dispatcher.settings.push((variable, value.to_owned()));
        cluster.revive()?;
        let ended = async || cluster.dispatcher.exit_code();
        let code = wait::until("the dispatcher to end", LONG, ended).await?;
        let log = cluster.dispatcher.log();
        ensure!(code == 1 && log.contains(why), "it ended with {code}:\n{log}");
        cluster.dispatcher.settings = before;
    }
    cluster.revive()
}

/// Without the Lease it can never act: that shows at the start, and where it does.
pub(super) async fn a_dispatcher_that_may_not_have_the_lease_is_not_ready(
    stack: &mut Stack,
) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster_mut()?;
    let admin = format!("127.0.0.1:{}", free_port()?);
    cluster.dispatcher.settings.push(("ADMIN_LISTEN", admin.clone()));
    let services = format!("--namespace={}", cluster.services_namespace());
    cluster.kubectl(&["delete", "rolebinding", "dispatcher", &services], None)?;
    cluster.kill_dispatcher().await?;
    wait::until_true("the reason", LONG, async || {
        let (status, text) = ask(&admin, "readyz").await?;
        Ok(status == 503 && text.contains("dispatcher-lease") && text.contains("must be allowed"))
    })
    .await?;
    ensure!(ask(&admin, "healthz").await?.0 == 200, "it seems dead");
    let account = format!("--serviceaccount={}:dispatcher", cluster.services_namespace());
    let bind = ["create", "rolebinding", "dispatcher", "--role=dispatcher", &account, &services];
    cluster.kubectl(&bind, None)?;
    let ready = async || Ok(ask(&admin, "readyz").await?.0 == 200);
    wait::until_true("the dispatcher to be ready", LONG, ready).await?;
    let said = cluster.dispatcher.log().matches("cannot be watched").count();
    ensure!(said == 1, "it was said {said} times");
    let clip = clips::clip(stack.folder(), 440, 1.0)?;
    user.mp3(&user.upload(&clip).await?).await?;
    Ok(())
}
