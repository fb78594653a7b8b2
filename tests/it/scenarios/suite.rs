//! A cluster under random faults, one every few seconds: whatever hits, and whenever, the checker finds
//! nothing wrong. It is run over `FAULT_CONVERSIONS`, else 60, and 500 in `make soak`.

mod fault;

use super::faults::BY_DEATH;
use crate::{
    Result,
    chance::seed,
    clips::{self, Clip},
    stack::{Stack, cluster::Cluster},
    told::{Heard, Told, database},
    wait::{self, pause},
};
use anyhow::{Context, ensure};
use fault::Faults;
use futures::future::try_join_all;
use queue::Queue;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env, fs,
    path::Path,
    time::Duration,
};

/// Of the time in which uploads come and faults hit, each conversion's share: 2,000 take an hour in
/// `make soak`.
const SHARES: [Duration; 2] = [Duration::from_millis(1100), Duration::from_millis(1800)];
/// Longest time until the last conversion has ended, once nothing is harmed any more.
const LONG: Duration = Duration::from_secs(300);
const USERS: [&str; 5] = ["ada", "grace", "edith", "hedy", "mary"];

pub(super) async fn a_random_fault_every_few_seconds(stack: &mut Stack) -> Result {
    let (seed, count) = (seed()?, conversions()?);
    let mut chance = StdRng::seed_from_u64(seed);
    let mut told = Told::new(stack.folder(), BY_DEATH);
    // What is killed again and again is done again and again: many have a long queue before them.
    let time = SHARES[usize::from(is_soak())] * count;
    told.patience = LONG + 2 * time;
    let queue = Queue::open(&stack.queue_url()).await?;
    let heard = Heard::begin(&queue, stack.folder()).await?;
    let (accepted, ended) = (RefCell::default(), Cell::new(false));
    let load = load(stack, &told, &accepted, (count, time), &mut chance).await?;
    let cluster = stack.cluster_mut()?;
    let mut faults = Faults::new(cluster, &queue, &told, &accepted, chance);
    let harming = async {
        faults.hit_for(time).await?;
        wait::until_true("the last conversion to end", told.patience, async || {
            faults.cluster.revive()?;
            Ok(ended.get())
        })
        .await
    };
    let loading = async {
        load.await?;
        ended.set(true);
        Ok(())
    };
    let survived = tokio::try_join!(loading, harming);
    let hits = faults.hits;
    let told_by = || format!("SEED={seed}; what hit, after so many seconds: {hits:?}");
    survived.with_context(told_by)?;
    let exhausted = count as usize / 20;
    let judged = told.judge_cluster(cluster, &queue, &heard, exhausted).await;
    let counted = judged.with_context(told_by)?;
    let mut faults = BTreeMap::<_, usize>::new();
    hits.iter().for_each(|(_, name)| *faults.entry(name).or_default() += 1);
    eprintln!("{}; faults {faults:?}", counted.trim());
    Ok(())
}

fn conversions() -> Result<u32> {
    match env::var("FAULT_CONVERSIONS") {
        Ok(count) => count.parse().context("FAULT_CONVERSIONS"),
        Err(_) => Ok(if is_soak() { 500 } else { 60 }),
    }
}

fn is_soak() -> bool {
    env::var("SOAK_MINUTES").is_ok()
}

/// So many conversions of all users that begin at random moments of this time, while faults hit; those
/// that were accepted are added to `accepted`.
async fn load<'a>(
    stack: &Stack,
    told: &'a Told,
    accepted: &'a RefCell<Vec<Value>>,
    (count, time): (u32, Duration),
    chance: &mut StdRng,
) -> Result<impl Future<Output = Result> + use<'a>> {
    let mut users = Vec::new();
    for name in USERS {
        users.push((name, stack.user(name).await?));
    }
    let clips = clips_of_all_lengths(stack.folder())?;
    let mut uploads = Vec::new();
    for n in 0..count as usize {
        // Of each six one works for so long that something is mostly at work.
        let clip = if n % 6 == 3 { n / 6 % 2 } else { 2 + n % (clips.len() - 2) };
        let ((owner, user), clip) = (users[n % users.len()].clone(), clips[clip].clone());
        let begin = time.mul_f64(chance.random());
        uploads.push(async move {
            pause(begin).await;
            let record = told.upload(&user, owner, &clip).await?;
            accepted.borrow_mut().push(record.clone());
            told.finish(&user, &record).await
        });
    }
    Ok(async { try_join_all(uploads).await.map(drop) })
}

/// Two of some minutes, then many of a few seconds.
fn clips_of_all_lengths(folder: &Path) -> Result<Vec<Clip>> {
    let seconds = |n| if n < 2 { 900.0 } else { 2.0 + f64::from(n % 5) / 2.0 };
    (0..22).map(|n| clips::clip(folder, 300 + 37 * n, seconds(n))).collect()
}

pub(super) async fn the_cluster_checker_sees_every_damage(stack: &mut Stack) -> Result {
    let told = Told::new(stack.folder(), &[]);
    let queue = Queue::open(&stack.queue_url()).await?;
    let heard = Heard::begin(&queue, stack.folder()).await?;
    let ada = stack.user("ada").await?;
    for n in 0..2 {
        let clip = clips::clip(stack.folder(), 300 + 150 * n, 2.0)?;
        told.finish(&ada, &told.upload(&ada, "ada", &clip).await?).await?;
    }
    let cluster = stack.cluster()?;
    let url = cluster.storage_url();
    wait::until_true("the records to be at rest", LONG, async || {
        let left = database(&url, &["rest"])?;
        ensure!(left.trim().is_empty(), "{left}");
        Ok(true)
    })
    .await?;
    let events = heard.all(&told).await?;
    damages_are_seen(&told, cluster, &events)?;
    // What is not in the database: an event, a dead letter, the Jobs that are still there.
    let said = |more: &[&str]| told_by_the_checker(&told, cluster, &url, more);
    ensure!(said(&[]).contains("0 event ids"), "no event is missed");
    let dead = stack.folder().join("dead");
    fs::write(&dead, "\"a message of somebody else\"\n")?;
    let dead = said(&["--dead", &dead.display().to_string()]);
    ensure!(dead.contains("was given up"), "a dead letter is not seen: {dead}");
    let left = said(&["--namespace", &cluster.name]);
    ensure!(left.contains("is left"), "Jobs are not seen: {left}");
    Ok(())
}

/// Each damage is done to a copy of its own.
fn damages_are_seen(told: &Told, cluster: &Cluster, events: &str) -> Result {
    let url = cluster.storage_url();
    let copied = format!("{url}_copy");
    let copy = copied.rsplit('/').next().context("a name")?;
    let said = || told_by_the_checker(told, cluster, &copied, &["--events", events]);
    database(&url, &["copy", copy])?;
    let sound = said();
    ensure!(sound.contains("violations 0"), "nothing is damaged: {sound}");
    for line in database(&url, &["damages"])?.lines() {
        let (damage, expected) = line.split_once('\t').context("a damage")?;
        database(&url, &[damage, copy])?;
        let said = said();
        ensure!(said.contains(expected), "{damage}: not seen: {said}");
    }
    database(&url, &["drop", copy]).map(drop)
}

/// What the checker says, of a fault or of none.
fn told_by_the_checker(told: &Told, cluster: &Cluster, url: &str, more: &[&str]) -> String {
    let said = told.check_database(cluster, url, &[&["--exhausted", "0"][..], more].concat());
    said.unwrap_or_else(|error| format!("{error:#}"))
}
