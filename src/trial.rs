//! `try`: the whole system at work on one video. It starts on a free port over a folder that is
//! removed at the end, and the video goes the way of every upload: REST, queue, converter, REST.

use crate::{
    client::{Client, Mp3},
    command::Context,
    config::Credentials,
    convert::{beside, check},
    data::Data,
    embedded::Embedded,
    error::Error,
    remote,
    target::{Existing, Target},
    tone, unit,
};
use domain::{Options, Preset};
use reqwest::Url;
use std::{
    cell::Cell,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf, absolute},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Which video, and where its MP3 goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The video; without one a short clip is made.
    video: Option<PathBuf>,
    /// A file or a folder for the MP3 [default: beside the video, under a free name].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// v0, v2, v4 (variable bit rate), 320, 256, 192, 128 (kbit/s), speech or copy.
    #[arg(short, long, default_value_t)]
    preset: Preset,
    #[command(flatten)]
    existing: Existing,
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts everything, converts, tells, and ends everything.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let begun = Instant::now();
    let folder = tempfile::Builder::new().prefix("audio-converter-").tempdir();
    let folder = folder.map_err(|cause| unusable(&cause))?;
    let video = video(arguments.video.as_deref(), &folder)?;
    let target = context.token.run_until_cancelled(target(arguments, &video, context)).await;
    let target = target.unwrap_or(Err(Error::Interrupted))?;
    let data = Data::take(&folder.path().join("data"))?;
    let stop = context.token.child_token();
    let system = Embedded::open(ANY_PORT, data, &context.config, stop.clone()).await?;
    let (server, account) = address(&system)?;
    let work = async {
        let client = Client::sign_in(server, account).await?;
        let options = Options { preset: arguments.preset, ..Options::default() };
        let (terminal, id) = (&context.terminal, Cell::new(None));
        remote::convert(&client, &video, &options, &target, terminal, &id).await
    };
    let mp3 = beside_system(work, system, &stop).await?;
    for line in lines(arguments, &video, &mp3, &target, begun.elapsed()) {
        context.terminal.say(line);
    }
    Ok(())
}

/// Where the system answers, and as whom.
fn address(system: &Embedded) -> Result<(Url, Option<Credentials>), Error> {
    let server = format!("http://{}", system.address());
    let server = server.parse().map_err(|_| Error::failed(format!("{server} is no address")))?;
    let account = system.first_account().map(|first| Credentials::Account {
        user: first.name.to_string(),
        password: first.password.clone(),
    });
    Ok((server, account))
}

/// Does `work` while the system runs; the end of either ends the other.
async fn beside_system<T>(
    work: impl Future<Output = Result<T, Error>>,
    system: Embedded,
    stop: &CancellationToken,
) -> Result<T, Error> {
    let work = async {
        let done = stop.run_until_cancelled(work).await;
        stop.cancel();
        done
    };
    match tokio::join!(work, system.run()) {
        (Some(done), _) => done,
        // What a part says of its end explains why the work was not done.
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(Error::Interrupted),
    }
}

/// What happened, in five lines.
fn lines(
    arguments: &Arguments,
    video: &Path,
    mp3: &Mp3,
    target: &Target,
    taken: Duration,
) -> [String; 5] {
    let shown =
        |path: &Path| absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let length = std::fs::metadata(video).map_or(0, |video| video.len());
    let name = match &arguments.video {
        Some(video) => shown(video),
        None => "a chord of our own making".to_owned(),
    };
    let rate = mp3.length.saturating_mul(8) / mp3.duration_ms.max(1);
    let sound = unit::time(Duration::from_millis(mp3.duration_ms));
    [
        format!("Video   {name}, {}", unit::bytes(length)),
        format!("MP3     {}", shown(target.path())),
        format!("Sound   {sound} long"),
        format!("Size    {}, {rate} kbit/s, preset {}", unit::bytes(mp3.length), arguments.preset),
        format!("Taken   {} from starting the system to the checked file", unit::time(taken)),
    ]
}

/// The user's video, or a clip in the folder that goes away.
fn video(given: Option<&Path>, folder: &TempDir) -> Result<PathBuf, Error> {
    let Some(video) = given else {
        let tone = folder.path().join("tone.wav");
        tone::write(&tone).map_err(|cause| unusable(&cause))?;
        return Ok(tone);
    };
    Ok(video.to_owned())
}

async fn target(arguments: &Arguments, video: &Path, context: &Context) -> Result<Target, Error> {
    // Our own clip lies in a folder that goes away: its MP3 comes to where the user is.
    let beside_what = if arguments.video.is_some() { video } else { Path::new("tone.wav") };
    let path = beside(beside_what, arguments.out.as_deref());
    check(video, &path)?;
    let target = match arguments.out {
        None => Some(Target::free(&path)),
        Some(_) => {
            let (path, doubt) = (path.clone(), Some("exists already"));
            Target::choose(path, doubt, arguments.existing, &context.terminal).await?
        }
    };
    target.ok_or_else(|| Error::Usage(format!("{} exists already and is kept", path.display())))
}

fn unusable(cause: &std::io::Error) -> Error {
    Error::failed(format!(
        "cannot use the folder for temporary files: {cause}. TMPDIR names another"
    ))
}
