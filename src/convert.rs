//! `convert`: from video files to MP3 files, through a server or on this machine.

use crate::{
    client::Client,
    command::Context,
    error::Error,
    local, program, remote, server,
    target::{Existing, Target, is_folder, place},
    unit,
};
use domain::Preset;
use futures::{StreamExt, stream};
use reqwest::Url;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// What to convert, how, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The videos.
    #[arg(required = true, value_name = "FILE")]
    videos: Vec<PathBuf>,
    /// A file, or a folder for several, for the MP3s [default: beside each video].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// v0, v2, v4 (variable bit rate) or 320, 256, 192, 128 (kbit/s).
    #[arg(short, long, default_value_t)]
    preset: Preset,
    /// The server's address [default: AUDIO_CONVERTER_SERVER; without either, this machine converts].
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    #[command(flatten)]
    existing: Existing,
}

/// What does the work.
enum Converter {
    Server(Client),
    Local(PathBuf),
}

/// Uploads at a time: while one is converted the next is on its way.
const AT_ONCE: usize = 4;

/// Converts every file; one that fails does not stop the others.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let plan = plan(arguments, context)?;
    let (converter, at_once) = converter(arguments, context).await?;
    let ends = stream::iter(&plan)
        .map(|(video, target)| one(&converter, video, target, arguments.preset, context));
    let failures = ends.buffer_unordered(at_once).filter_map(async |end| end.err());
    let failed: Vec<Error> = failures
        .inspect(|error| {
            // Of several files each failure is told as it comes.
            if plan.len() > 1 {
                context.terminal.note(format!("audio-converter: {error}"));
            }
        })
        .collect()
        .await;
    verdict(failed, plan.len())
}

/// What does the work, and how many videos it takes at once.
async fn converter(arguments: &Arguments, context: &Context) -> Result<(Converter, usize), Error> {
    let config = &context.config;
    let server = arguments.server.clone().or_else(|| config.server.clone());
    Ok(match server {
        Some(server) => {
            let client = server::sign_in(server, config, &context.terminal).await?;
            (Converter::Server(client), AT_ONCE)
        }
        None => {
            let program = program::converter_job(config.converter_job.as_deref());
            (Converter::Local(program), 1)
        }
    })
}

/// What the whole call comes to. Not being signed in is a kind of its own for scripts.
fn verdict(mut failed: Vec<Error>, all: usize) -> Result<(), Error> {
    let worst = failed.iter().position(|error| error.exit() == 4);
    match (failed.len(), worst) {
        (0, _) => Ok(()),
        (_, Some(worst)) => Err(failed.swap_remove(worst)),
        (1, None) if all == 1 => Err(failed.swap_remove(0)),
        (some, None) => Err(Error::Some { failed: some, all }),
    }
}

/// Each video with its target, all checked before anything is done.
fn plan(arguments: &Arguments, context: &Context) -> Result<Vec<(PathBuf, Target)>, Error> {
    let out = arguments.out.as_deref();
    if let Some(out) = out.filter(|out| arguments.videos.len() > 1 && !is_folder(out)) {
        let out = out.display();
        return Err(Error::Usage(format!(
            "several videos need a folder, and {out} is none. Write -o {out}/ to make it"
        )));
    }
    let mut taken = HashSet::new();
    let each = arguments.videos.iter().map(|video| {
        let path = beside(video, out);
        check(video, &path)?;
        if !taken.insert(path.clone()) {
            return Err(Error::Usage(format!(
                "two videos would become {}. Convert them one by one with -o FILE",
                path.display()
            )));
        }
        let target = Target::choose(path, arguments.existing, &context.terminal)?;
        Ok((video.clone(), target))
    });
    each.collect()
}

/// Whether `video` can be read, and is not what would be written.
pub(crate) fn check(video: &Path, target: &Path) -> Result<(), Error> {
    let shown = video.display();
    match std::fs::metadata(video) {
        Err(cause) => return Err(Error::Usage(format!("cannot read {shown}: {cause}"))),
        Ok(file) if !file.is_file() => return Err(Error::Usage(format!("{shown} is not a file"))),
        Ok(_) => {}
    }
    let same = target.canonicalize().is_ok_and(|target| video.canonicalize().ok() == Some(target));
    if same {
        return Err(Error::Usage(format!(
            "the MP3 would replace {shown} itself. -o FILE writes elsewhere"
        )));
    }
    Ok(())
}

/// Where the MP3 of `video` goes: `out`, or beside it under its own name.
pub(crate) fn beside(video: &Path, out: Option<&Path>) -> PathBuf {
    let folder = video.parent().unwrap_or(Path::new(""));
    let name = Path::new(video.file_name().unwrap_or_default()).with_extension("mp3");
    place(out, folder, name.as_os_str())
}

async fn one(
    converter: &Converter,
    video: &Path,
    target: &Target,
    preset: Preset,
    context: &Context,
) -> Result<(), Error> {
    let (from, to) = (video.display(), target.path().display());
    match converter {
        Converter::Server(client) => {
            let mp3 = remote::convert(client, video, preset, target, &context.terminal).await?;
            let (length, time) =
                (unit::bytes(mp3.length), unit::time(Duration::from_millis(mp3.duration_ms)));
            context.terminal.say(format!("{from} -> {to}  {length}, {time}"));
        }
        Converter::Local(program) => {
            let words = local::convert(program, video, preset, target, &context.terminal).await?;
            context.terminal.say(format!("{from} -> {to}  {words}"));
        }
    }
    Ok(())
}
