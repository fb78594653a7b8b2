//! One machine under random faults: whatever dies, and whenever, the checker finds nothing wrong.

use crate::{
    Result,
    chance::chance,
    clips::{self, Clip},
    mounts,
    process::{children_of, output_of, program, with_environment},
    stack::{Stack, embedded::Embedded},
    told::{Told, alter, python},
    wait::pause,
};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use rand::{Rng, rngs::StdRng};
use std::{
    cell::Cell, fs, io, os::unix::fs::PermissionsExt, path::Path, process::Command,
    sync::atomic::Ordering, time::Duration,
};

/// Reasons that three deaths, or two deaths of the decoder, may bring about.
pub(super) const BY_DEATH: &[&str] = &["attempts_exhausted", "out_of_memory"];

pub(super) async fn the_server_is_killed_fifty_times(stack: &mut Stack) -> Result {
    let mut chance = chance()?;
    let told = Told::new(stack.folder(), &[]);
    let load = load(stack, &told, 20, Duration::from_secs(20), &mut chance).await?;
    let server = embedded(stack)?;
    let killing = async {
        for _ in 0..50 {
            pause(Duration::from_millis(chance.random_range(0..600))).await;
            server.stop().await?;
            server.restart().await?;
        }
        Ok(())
    };
    tokio::try_join!(load, killing)?;
    told.judge(server).await
}

pub(super) async fn runners_and_decoders_are_killed(stack: &mut Stack) -> Result {
    let mut chance = chance()?;
    let told = Told::new(stack.folder(), BY_DEATH);
    let load = load(stack, &told, 20, Duration::from_secs(8), &mut chance).await?;
    let server = embedded(stack)?;
    let entry = format!("STORAGE_URL={}", server.storage_url());
    let killed = Cell::new(0);
    let killing = async {
        while killed.get() < 20 {
            // A runner lives for less than a tenth of a second.
            pause(Duration::from_millis(chance.random_range(0..50))).await;
            let runners = with_environment(&entry, "attempt");
            let decoders: Vec<_> = runners.iter().flat_map(|id| children_of(*id)).collect();
            let victims = if chance.random() { decoders } else { runners };
            if let Some(victim) = victims.first() {
                // It may have ended meanwhile.
                let dead = Command::new("kill").args(["-9", &victim.to_string()]).status()?;
                killed.set(killed.get() + usize::from(dead.success()));
            }
        }
        std::future::pending::<Result>().await
    };
    // What is not yet killed when all is done need not be.
    tokio::select! {
        done = load => done?,
        failed = killing => failed?,
    }
    ensure!(killed.get() >= 10, "only {} processes were killed", killed.get());
    told.judge(server).await
}

pub(super) async fn every_child_is_started_twice(stack: &mut Stack) -> Result {
    let mut chance = chance()?;
    let folder = stack.folder().join("bin");
    let twice = format!(
        "#!/bin/sh\n\
         # Both end with the server, which holds the other end of their standard input.\n\
         exec 3<&0\n\
         \"{0}\" \"$@\" <&3 &\n\
         \"{0}\" \"$@\" <&3\n\
         status=$?\n\
         echo twin >>\"{1}\"\n\
         wait\n\
         exit $status\n",
        program("converter-job").display(),
        stack.folder().join("twins").display(),
    );
    let program = server_with_converter(&folder, &twice)?;
    let server = embedded(stack)?;
    server.stop().await?;
    server.program = program;
    server.restart().await?;
    let told = Told::new(stack.folder(), &[]);
    load(stack, &told, 12, Duration::from_secs(2), &mut chance).await?.await?;
    let twins = fs::read_to_string(stack.folder().join("twins"))?.lines().count();
    ensure!(twins >= 6, "only {twins} of 12 children were started twice");
    told.judge(embedded(stack)?).await
}

pub(super) async fn the_disk_is_full_at_random_moments(stack: &mut Stack) -> Result {
    let mut chance = chance()?;
    let disk = stack.folder().join("disk");
    mounts::disk(&disk, 32)?;
    let server = embedded(stack)?;
    server.stop().await?;
    server.data = disk.join("data");
    server.restart().await?;
    let told = Told::new(stack.folder(), &["attempts_exhausted"]);
    let load = load(stack, &told, 24, Duration::from_secs(8), &mut chance).await?;
    let filling = async {
        for _ in 0..20 {
            pause(Duration::from_millis(chance.random_range(0..300))).await;
            fill(&disk, chance.random_range(0..64 << 10))?;
            pause(Duration::from_millis(chance.random_range(0..400))).await;
            fs::remove_file(disk.join("filler"))?;
        }
        Ok(())
    };
    tokio::try_join!(load, filling)?;
    let full = told.full.load(Ordering::Relaxed);
    ensure!(full > 0, "nobody was told that the disk is full");
    told.judge(embedded(stack)?).await
}

/// Fills a disk with one file but for some bytes.
fn fill(disk: &Path, left: u64) -> Result {
    let mut file = fs::File::create(disk.join("filler"))?;
    let full = io::copy(&mut io::repeat(1), &mut file);
    ensure!(full.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull), "not full");
    let length = file.metadata()?.len();
    Ok(file.set_len(length.saturating_sub(left))?)
}

pub(super) async fn the_power_is_cut_twenty_times(stack: &mut Stack) -> Result {
    let mut chance = chance()?;
    let folder = stack.folder().to_owned();
    let (shim, side) = (folder.join("powercut.so"), folder.join("side"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checker/powercut.c");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).args([&shim, &source]);
    output_of(&mut cc, None)?;
    let told = Told::new(&folder, &[]);
    let load = load(stack, &told, 20, Duration::from_secs(20), &mut chance).await?;
    let server = embedded(stack)?;
    server.stop().await?;
    let environment = [
        ("LD_PRELOAD", shim.display().to_string()),
        ("POWERCUT_DATA", server.data.display().to_string()),
        ("POWERCUT_SIDE", side.display().to_string()),
    ];
    let exports: String =
        environment.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let job = program("converter-job");
    let script = format!("#!/bin/sh\n{exports}exec \"{}\" \"$@\"\n", job.display());
    server.program = server_with_converter(&folder.join("bin"), &script)?;
    server.environment.extend(environment);
    let data = server.data.clone();
    let cut =
        |how: &str| output_of(python("powercut.py").args([&data, &side]).arg(how), None).map(drop);
    cut("begin")?;
    server.restart().await?;
    let cutting = async {
        for _ in 0..20 {
            pause(Duration::from_millis(chance.random_range(0..1500))).await;
            server.stop().await?;
            cut(&chance.random::<u32>().to_string())?;
            server.restart().await?;
        }
        Ok(())
    };
    tokio::try_join!(load, cutting)?;
    told.judge(server).await
}

pub(super) async fn the_checker_sees_every_damage(stack: &mut Stack) -> Result {
    let told = Told::new(stack.folder(), &[]);
    let ada = stack.user("ada").await?;
    for n in 0..2 {
        let clip = clips::clip(stack.folder(), 300 + 150 * n, 2.0)?;
        told.finish(&ada, &told.upload(&ada, "ada", &clip).await?).await?;
    }
    let folder = stack.folder().to_owned();
    let server = embedded(stack)?;
    told.judge(server).await?;
    for line in alter(&server.data, "damages")?.lines() {
        let (damage, expected) = line.split_once('\t').context("a damage")?;
        let copy = folder.join(damage);
        output_of(Command::new("cp").arg("-r").args([&server.data, &copy]), None)?;
        alter(&copy, damage)?;
        let said = match told.check(&copy) {
            Ok(said) => said,
            Err(error) => format!("{error:#}"),
        };
        ensure!(said.contains(expected), "{damage}: not seen: {said}");
    }
    let mut living = python("check.py");
    living.args([&server.data, &folder.join("told")]).args(["--pid", "1"]);
    let said = output_of(&mut living, None).err().context("a living process was not seen")?;
    ensure!(said.to_string().contains("process 1 is left"), "{said:#}");
    Ok(())
}

/// A server in `folder` whose converter is this script, and its path.
fn server_with_converter(folder: &Path, script: &str) -> Result<String> {
    fs::create_dir(folder)?;
    let (server, converter) = (folder.join("audio-converter"), folder.join("converter-job"));
    let built = program("audio-converter");
    // The server starts the converter that lies beside it. A copy where a link cannot be.
    if fs::hard_link(&built, &server).is_err() {
        fs::copy(&built, &server)?;
    }
    fs::write(&converter, script)?;
    fs::set_permissions(&converter, fs::Permissions::from_mode(0o700))?;
    Ok(server.display().to_string())
}

/// Conversions that begin at random moments within a time; some are called off, some deleted.
async fn load<'a>(
    stack: &Stack,
    told: &'a Told,
    count: u32,
    within: Duration,
    chance: &mut StdRng,
) -> Result<impl Future<Output = Result> + use<'a>> {
    let ada = stack.user("ada").await?;
    let mut uploads = Vec::new();
    for n in 0..count {
        let seconds = f64::from(chance.random_range(20..80)) / 10.0;
        let clip: Clip = clips::clip(stack.folder(), 300 + 37 * n, seconds)?;
        let (ada, begin) = (ada.clone(), within.mul_f64(chance.random()));
        uploads.push(async move {
            pause(begin).await;
            let record = told.upload(&ada, "ada", &clip).await?;
            match n % 8 {
                3 => told.cancel(&ada, &record).await,
                5 => told.delete(&ada, &record).await,
                _ => told.finish(&ada, &record).await,
            }
        });
    }
    Ok(async { try_join_all(uploads).await.map(drop) })
}

fn embedded(stack: &mut Stack) -> Result<&mut Embedded> {
    match stack {
        Stack::Embedded(server) => Ok(server),
        Stack::Cluster(_) => anyhow::bail!("a story of one machine"),
    }
}
