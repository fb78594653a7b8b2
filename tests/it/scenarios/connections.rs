//! Connections between any two parts break, crawl, or lose what was answered.

use crate::{
    Result,
    chance::chance,
    client::{Client, LONG},
    clips,
    judge::{Accepted, one_mp3_each},
    leftovers::only_what_was_accepted,
    proxy::Proxy,
    stack::{Stack, links::Links},
    wait::{self, pause},
};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use rand::{Rng, rngs::StdRng};
use std::time::Duration;

pub(super) async fn uploads_need_no_broker(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    let broker = &cluster.links()?.broker;
    broker.refuse();
    let clip = clips::clip(stack.folder(), 440, 3.0)?;
    let id = user.upload(&clip).await?;
    // Nor does its conversion: the record is the queue.
    user.mp3(&id).await?;
    ensure!(cluster.messages("mp3")? == 0, "the broker was not away");
    broker.pass();
    wait::until_true("the event", LONG, async || Ok(cluster.messages("mp3")? == 1)).await?;
    let accepted = [Accepted { client: user, id, clip }];
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

pub(super) async fn any_connection_is_cut_slowed_or_reset(stack: &mut Stack) -> Result {
    suffer(stack, |proxy, chance| match chance.random_range(0..4) {
        0 => proxy.cut(),
        1 => proxy.refuse(),
        2 => proxy.slow(chance.random_range(500..20_000)),
        _ => proxy.reset_after(chance.random_range(0..5_000)),
    })
    .await
}

pub(super) async fn answers_are_lost_after_the_deed(stack: &mut Stack) -> Result {
    suffer(stack, |proxy, _| proxy.swallow_answers()).await
}

/// An MP3 is read once more before it is committed, which takes longer here than one may be silent.
pub(super) async fn a_long_mp3_over_a_slow_connection_is_nobody_silent(
    stack: &mut Stack,
) -> Result {
    let user = stack.user("ada").await?;
    let cluster = stack.cluster()?;
    let pods = cluster.links()?.pods.as_ref().context("the pods' connections")?;
    let clip = clips::clip(stack.folder(), 440, 900.0)?;
    pods.slow(250_000);
    let id = user.upload(&clip).await?;
    let record = user.finished(&id).await?;
    ensure!(record["state"] == "succeeded" && record["attempt"] == 1, "{record}");
    let length = record["mp3"]["length"].as_u64().context("a length")?;
    ensure!(length > 15 * 250_000, "{length} bytes are soon read");
    pods.pass();
    one_mp3_each(stack, &[Accepted { client: user, id, clip }]).await
}

/// How often the pods' connections are broken: one conversion may fail twice and no more.
const HARM_TO_PODS: usize = 2;

/// Signs in, uploads and waits, while one harm after another comes to the connections before each
/// part in turn.
async fn suffer(stack: &mut Stack, harm: fn(&Proxy, &mut StdRng)) -> Result {
    let mut chance = chance()?;
    stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..12 {
        let clip = clips::clip(stack.folder(), 300 + 100 * n, 5.0 + 10.0 * f64::from(n % 4))?;
        let (url, begin) = (stack.url(), Duration::from_millis(chance.random_range(0..20_000)));
        uploads.push(async move {
            pause(begin).await;
            let sign_in =
                async || Client::sign_in(url, "ada", "ada's long password").await.map(Some);
            let user = wait::until("a login", LONG, sign_in).await?;
            let id = user.upload(&clip).await?;
            user.finished(&id).await?;
            anyhow::Ok(Accepted { client: user, id, clip })
        });
    }
    let links = stack.cluster()?.links()?;
    let accepted = tokio::select! {
        accepted = try_join_all(uploads) => accepted?,
        () = harm_links(links, harm, &mut chance) => Vec::new(),
    };
    links.all().iter().for_each(|(_, proxy)| proxy.pass());
    let harmed: Vec<_> = links.all().iter().map(|(name, proxy)| (*name, proxy.harmed())).collect();
    eprintln!("connections that came to harm: {harmed:?}");
    let spared = harmed.iter().filter(|(_, harmed)| *harmed == 0).count();
    ensure!(spared <= 1, "too little came to harm");
    one_mp3_each(stack, &accepted).await?;
    only_what_was_accepted(stack.cluster()?, &accepted).await
}

/// After each harm there is a while in which what was not done can be done again.
async fn harm_links(links: &Links, harm: fn(&Proxy, &mut StdRng), chance: &mut StdRng) {
    let mut broken = 0;
    for (name, proxy) in links.all().into_iter().cycle() {
        let (before, is_pods) = (proxy.harmed(), name == "pods");
        if proxy.open() == 0 || is_pods && broken == HARM_TO_PODS {
            pause(Duration::from_millis(10)).await;
            continue;
        }
        harm(proxy, chance);
        pause(Duration::from_millis(chance.random_range(100..800))).await;
        proxy.pass();
        broken += usize::from(is_pods && proxy.harmed() > before);
    }
}
