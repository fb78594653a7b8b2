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
    let server = arguments
        .server
        .clone()
        .or_else(|| context.config.server.clone());
    let (converter, at_once) = match server {
        Some(server) => (
            Converter::Server(server::sign_in(server, &context.config, &context.terminal).await?),
            AT_ONCE,
        ),
        None => (
            Converter::Local(program::converter_job(
                context.config.converter_job.as_deref(),
            )),
            1,
        ),
    };
    let all = plan.len();
    let ends = stream::iter(&plan)
        .map(|(video, target)| one(&converter, video, target, arguments.preset, context));
    let mut failed: Vec<Error> = Vec::new();
    let mut ends = ends.buffer_unordered(at_once);
    while let Some(end) = ends.next().await {
        if let Err(error) = end {
            // Of several files each failure is told as it comes.
            if all > 1 {
                context.terminal.note(format!("audio-converter: {error}"));
            }
            failed.push(error);
        }
    }
    match failed.len() {
        0 => Ok(()),
        1 if all == 1 => Err(failed.remove(0)),
        some => Err(failed
            .into_iter()
            .find(|error| error.exit() == 4)
            .unwrap_or(Error::Some { failed: some, all })),
    }
}

/// Each video with its target, all checked before anything is done.
fn plan(arguments: &Arguments, context: &Context) -> Result<Vec<(PathBuf, Target)>, Error> {
    let out = arguments.out.as_deref();
    if let Some(out) = out.filter(|out| arguments.videos.len() > 1 && !is_folder(out)) {
        let out = out.display();
        return Err(Error::Usage(format!(
            "several videos need a folder, and {out} is none. Write -o {out}/ to make \
             it"
        )));
    }
    let mut taken = HashSet::new();
    let each = arguments.videos.iter().map(|video| {
        let shown = video.display();
        let readable = std::fs::metadata(video)
            .map_err(|cause| Error::Usage(format!("cannot read {shown}: {cause}")))?;
        if !readable.is_file() {
            return Err(Error::Usage(format!("{shown} is not a file")));
        }
        let path = beside(video, out);
        if path
            .canonicalize()
            .ok()
            .is_some_and(|path| video.canonicalize().ok() == Some(path))
        {
            return Err(Error::Usage(format!(
                "the MP3 would replace {shown} itself. -o FILE writes elsewhere"
            )));
        }
        if !taken.insert(path.clone()) {
            return Err(Error::Usage(format!(
                "two videos would become {}. Convert them one by one with \
                 -o FILE",
                path.display()
            )));
        }
        Ok((
            video.clone(),
            Target::choose(path, arguments.existing, &context.terminal)?,
        ))
    });
    each.collect()
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
            let (_, mp3) =
                remote::convert(client, video, preset, target, &context.terminal).await?;
            let (length, time) = (
                unit::bytes(mp3.length),
                unit::time(Duration::from_millis(mp3.duration_ms)),
            );
            context
                .terminal
                .say(format!("{from} -> {to}  {length}, {time}"));
        }
        Converter::Local(program) => {
            let words = local::convert(program, video, preset, target, &context.terminal).await?;
            context.terminal.say(format!("{from} -> {to}  {words}"));
        }
    }
    Ok(())
}
