//! `convert`: from video files to MP3 files, on this machine or through a server.

mod plan;
mod report;

use crate::{
    client::Client,
    command::Context,
    error::{Error, verdict},
    local, program, remote, server,
    target::{Existing, Target, place},
};
use domain::{ConversionId, Options};
use futures::{StreamExt, stream};
use plan::{Item, doubt, plan};
use report::{Done, End, Report};
use std::{
    cell::Cell,
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

/// What to convert, how, and where to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help())]
pub(crate) struct Arguments {
    /// The videos; a folder is searched for them, with all folders in it.
    #[arg(required = true, value_name = "FILE|DIR")]
    videos: Vec<PathBuf>,
    /// A folder for the MP3s, or for one video the MP3 itself [default: beside each video].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// Convert so many at once [default: one for each core; 4 through a server].
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    existing: Existing,
}

/// What does the work.
enum Converter {
    Server(Client),
    Local(PathBuf, usize),
}

/// Uploads at a time: while one is converted the next is on its way.
const AT_ONCE: usize = 4;

fn help() -> String {
    format!(
        "Without --server and AUDIO_CONVERTER_SERVER this machine converts, whoever is logged in.\n\
         An MP3 that is there and not older than its video is skipped.\n\
         In folders these are videos: {}.\n\n\
         Examples:\n  \
         audio-converter convert film.mp4\n  \
         audio-converter convert ~/films -o ~/music --preset v0\n  \
         audio-converter convert film.mkv --track eng --start 60 --end 90.5\n  \
         audio-converter convert *.mkv -n --json | jq -r .mp3",
        plan::MEDIA.join(" ")
    )
}

/// Converts every file; one that fails does not stop the others.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    arguments.options.validate().map_err(|wrong| Error::Usage(wrong.to_string()))?;
    let prepared = context.token.run_until_cancelled(prepare(arguments, context)).await;
    let (items, faults, converter, at_once) = prepared.unwrap_or(Err(Error::Interrupted))?;
    let all = items.len() + faults.len();
    let mut report = Report::new(context, all, arguments.existing);
    for fault in faults {
        report.fault(fault);
    }
    let ends = items.into_iter().map(|(item, target)| {
        let (converter, options) = (&converter, &arguments.options);
        async move {
            let end = match target {
                Ok(Some(target)) => one(converter, &item, options, &target, context).await,
                Ok(None) => Ok(End::Skipped),
                Err(error) => Err(error),
            };
            (item, end)
        }
    });
    let mut ends = stream::iter(ends).buffer_unordered(at_once);
    while let Some((item, end)) = ends.next().await {
        report.ended(&item, end);
    }
    verdict(report.finish(), all, "files")
}

type Prepared = (Vec<(Item, Result<Option<Target>, Error>)>, Vec<Error>, Converter, usize);

/// Every question is asked before any work is done.
async fn prepare(arguments: &Arguments, context: &Context) -> Result<Prepared, Error> {
    let (plan, faults) = plan(&arguments.videos, arguments.out.as_deref())?;
    let mut items = Vec::with_capacity(plan.len());
    for item in plan {
        check(&item.video, &item.mp3)?;
        let doubt = doubt(&item.video, &item.mp3);
        let (path, terminal) = (item.mp3.clone(), &context.terminal);
        let target = Target::choose(path, doubt, arguments.existing, terminal).await;
        items.push((item, target));
    }
    let (converter, at_once) = match server::named(context) {
        Some(_) => (Converter::Server(server::signed_in(context).await?), AT_ONCE),
        None => {
            let program = program::converter_job(context.config.converter_job.as_deref());
            let cores = available_parallelism().map_or(1, NonZero::get);
            let at_once = arguments.jobs.map_or(cores, NonZero::get);
            // One long film has all cores for itself.
            let threads = (cores / at_once.min(items.len()).max(1)).max(1);
            (Converter::Local(program, threads), at_once)
        }
    };
    Ok((items, faults, converter, arguments.jobs.map_or(at_once, NonZero::get)))
}

/// Whether the MP3 would take the place of the video itself.
pub(crate) fn check(video: &Path, target: &Path) -> Result<(), Error> {
    let same = target.canonicalize().is_ok_and(|target| video.canonicalize().ok() == Some(target));
    if same {
        return Err(Error::Usage(format!(
            "the MP3 would replace {} itself. -o writes elsewhere",
            video.display()
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
    item: &Item,
    options: &Options,
    target: &Target,
    context: &Context,
) -> Result<End, Error> {
    if context.token.is_cancelled() {
        return Err(Error::Interrupted);
    }
    let accepted = Cell::new(None);
    let seconds = match converter {
        Converter::Server(client) => {
            let terminal = &context.terminal;
            let work = remote::convert(client, &item.video, options, target, terminal, &accepted);
            match context.token.run_until_cancelled(work).await {
                Some(mp3) => Some(mp3?.duration_ms.saturating_add(500) / 1000),
                None => return Err(left_there(item, accepted.get(), context)),
            }
        }
        Converter::Local(program, threads) => {
            local::convert(program, *threads, &item.video, options, target, context).await?
        }
    };
    let length = fs::metadata(target.path()).map_or(0, |mp3| mp3.len());
    Ok(End::Converted(Done { length, seconds, conversion: accepted.get() }))
}

/// The server goes on without us: tell how to come back to it.
fn left_there(item: &Item, accepted: Option<ConversionId>, context: &Context) -> Error {
    if let Some(id) = accepted {
        context.terminal.note(format!(
            "{} goes on at the server. `audio-converter download {id}` brings its MP3",
            item.video.display()
        ));
    }
    Error::Interrupted
}
