//! `try`: the whole system at work on one video. It starts on a free port over a folder that is
//! removed at the end, and the video goes the way of every upload: REST, queue, converter, REST.

use crate::{
    client::Client,
    command::Context,
    config::Credentials,
    convert::beside,
    data::Data,
    embedded::Embedded,
    error::Error,
    remote,
    target::{Existing, Target},
    tone, unit,
};
use domain::Preset;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf, absolute},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Which video, and where its MP3 goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The video; without one a short clip is made.
    video: Option<PathBuf>,
    /// A file or a folder for the MP3 [default: beside the video, under a free name].
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// v0, v2, v4 (variable bit rate) or 320, 256, 192, 128 (kbit/s).
    #[arg(short, long, default_value_t)]
    preset: Preset,
    #[command(flatten)]
    existing: Existing,
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts everything, converts, tells, and ends everything.
pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Error> {
    let begun = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("audio-converter-")
        .tempdir()
        .map_err(|cause| unusable(&cause))?;
    let video = video(arguments.video.as_deref(), &folder)?;
    let target = target(arguments, &video, context)?;
    let data = Data::take(&folder.path().join("data"))?;
    let token = context.token.child_token();
    let system = Embedded::open(ANY_PORT, data, &context.config, token.clone()).await?;
    let server = format!("http://{}", system.address())
        .parse()
        .map_err(|_| Error::failed("no address"))?;
    let account = system.first_account().map(|first| Credentials::Account {
        user: first.name.to_string(),
        password: first.password.clone(),
    });
    let work = async {
        let client = Client::sign_in(server, account.as_ref()).await?;
        remote::convert(
            &client,
            &video,
            arguments.preset,
            &target,
            &context.terminal,
        )
        .await
    };
    let (work, ended) = tokio::join!(
        async {
            let done = token.run_until_cancelled(work).await;
            token.cancel();
            done
        },
        async {
            let ended = system.run().await;
            token.cancel();
            ended
        },
    );
    // What a part says of its end explains why the work was not done.
    let (_, mp3) = match (work, ended) {
        (Some(Ok(done)), _) => done,
        (Some(Err(error)), _) | (None, Err(error)) => return Err(error),
        (None, Ok(())) => return Err(Error::Interrupted),
    };
    let length = std::fs::metadata(&video).map_or(0, |video| video.len());
    let rate = mp3.length.saturating_mul(8) / mp3.duration_ms.max(1);
    let shown = |path: &Path| {
        absolute(path)
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string()
    };
    let say = |text: String| context.terminal.say(text);
    let name = if arguments.video.is_some() {
        shown(&video)
    } else {
        "a chord of our own making".to_owned()
    };
    say(format!("Video   {name}, {}", unit::bytes(length)));
    say(format!("MP3     {}", shown(target.path())));
    say(format!(
        "Sound   {} long",
        unit::time(Duration::from_millis(mp3.duration_ms))
    ));
    say(format!(
        "Size    {}, {rate} kbit/s, preset {}",
        unit::bytes(mp3.length),
        arguments.preset
    ));
    say(format!(
        "Taken   {} from starting the system to the checked file",
        unit::time(begun.elapsed())
    ));
    Ok(())
}

/// The user's video, or a clip in the folder that goes away.
fn video(given: Option<&Path>, folder: &TempDir) -> Result<PathBuf, Error> {
    let Some(video) = given else {
        let tone = folder.path().join("tone.wav");
        tone::write(&tone).map_err(|cause| unusable(&cause))?;
        return Ok(tone);
    };
    match std::fs::metadata(video) {
        Ok(file) if file.is_file() => Ok(video.to_owned()),
        Ok(_) => Err(Error::Usage(format!("{} is not a file", video.display()))),
        Err(cause) => Err(Error::Usage(format!(
            "cannot read {}: {cause}",
            video.display()
        ))),
    }
}

fn target(arguments: &Arguments, video: &Path, context: &Context) -> Result<Target, Error> {
    // Our own clip lies in a folder that goes away: its MP3 comes to where the user is.
    let beside_what = if arguments.video.is_some() {
        video
    } else {
        Path::new("tone.wav")
    };
    let path = beside(beside_what, arguments.out.as_deref());
    if arguments.out.is_none() {
        Ok(Target::free(&path))
    } else {
        Target::choose(path, arguments.existing, &context.terminal)
    }
}

fn unusable(cause: &std::io::Error) -> Error {
    Error::failed(format!(
        "cannot use the folder for temporary files: {cause}. TMPDIR names another"
    ))
}
