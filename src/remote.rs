//! One video through a server: up, wait, down. What must hold: whatever breaks on the way, repeating
//! never makes a second conversion, and the MP3 at the target is the one that the server made.

use crate::{
    client::{Client, Conversion, Error as ClientError, Look, Mp3, Patience, Upload, patiently},
    error::Error,
    target::Target,
    terminal::{Bar, Scale, Terminal},
    unit,
};
use domain::{ConversionId, Options, Sha256, State};
use futures::TryStreamExt;
use jiff::Timestamp;
use reqwest::Body;
use sha2::Digest;
use std::{
    cell::Cell,
    io::{Seek, Write},
    path::Path,
    time::{Duration, Instant},
};
use tokio::{fs::File, io::AsyncReadExt, time::sleep};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// Read from the disk at a time.
const STEP: usize = 256 << 10;
/// Between two looks at a conversion where the server does not wait for us; the first ones are
/// quicker, for short clips.
const LOOK: Duration = Duration::from_secs(1);
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// Converts `video` through the server; returns what is known of the MP3, which then is at `target`.
/// `id` is told as soon as it is known.
pub(crate) async fn convert(
    client: &Client,
    video: &Path,
    options: &Options,
    target: &Target,
    terminal: &Terminal,
    id: &Cell<Option<ConversionId>>,
) -> Result<Mp3, Error> {
    let accepted = upload(client, video, options, terminal).await?;
    id.set(Some(accepted.id));
    let ended = wait(
        client,
        accepted.id,
        terminal.bar(format!("converting {}", accepted.name), Scale::Percent),
    )
    .await?;
    let mp3 = result(&ended)?;
    download(client, ended.id, &mp3, target, terminal).await?;
    Ok(mp3)
}

/// Uploads `video`; returns the conversion that the server accepted.
pub(crate) async fn upload(
    client: &Client,
    video: &Path,
    options: &Options,
    terminal: &Terminal,
) -> Result<Conversion, Error> {
    let fault =
        |cause: std::io::Error| Error::failed(format!("cannot read {}: {cause}", video.display()));
    let length = tokio::fs::metadata(video).await.map_err(fault)?.len();
    let name = video.file_name().unwrap_or_default().to_string_lossy();
    let shown = unit::path(name.as_ref().as_ref());
    // Made once: a repetition after a lost answer finds what the first one made.
    let key = Uuid::now_v7().to_string();
    let upload = Upload { name: &name, options, key: &key, length };
    let bar = terminal.bar(format!("uploading {shown}"), Scale::Bytes(length));
    let accepted = patiently(
        Patience::Long,
        |error, pause| retried(&bar, error, pause),
        async || {
            bar.reach(0);
            let (file, moved) = (File::open(video).await?, bar.clone());
            let stream = ReaderStream::with_capacity(file.take(length), STEP);
            let counted = stream.inspect_ok(move |bytes| moved.advance(bytes.len() as u64));
            client.upload(&upload, Body::wrap_stream(counted)).await
        },
    );
    accepted.await.map_err(|error| match error {
        ClientError::Disk(cause) => fault(cause),
        error => error.into(),
    })
}

/// Waits until the conversion has ended, well or not.
pub(crate) async fn wait(client: &Client, id: ConversionId, bar: Bar) -> Result<Conversion, Error> {
    let (mut pause, mut tag) = (FIRST_LOOK, None::<String>);
    loop {
        let asked = Instant::now();
        let ask = async || client.look(id, tag.as_deref()).await;
        let told = |error: &_, pause| retried(&bar, error, pause);
        if let Look::New(conversion, new) = patiently(Patience::Long, told, ask).await? {
            bar.remark(conversion.remark(Timestamp::now()));
            bar.go_at(conversion.speed, conversion.seconds_left);
            bar.reach(conversion.progress.unwrap_or(0));
            if conversion.state.is_terminal() {
                return Ok(*conversion);
            }
            // The server waits from now on. The first tag may be asked about at once.
            let first = tag.is_none();
            tag = new;
            if first && tag.is_some() {
                continue;
            }
        }
        sleep(pause.saturating_sub(asked.elapsed())).await;
        pause = LOOK.min(pause * 2);
    }
}

/// The MP3 of a conversion that has one; the reason where it has none.
pub(crate) fn result(conversion: &Conversion) -> Result<Mp3, Error> {
    let (id, name) = (conversion.id, &conversion.name);
    Err(match (conversion.state, &conversion.mp3, &conversion.error) {
        (State::Succeeded, Some(mp3), _) => return Ok(mp3.clone()),
        (State::Failed, _, Some(error)) => Error::Video {
            name: name.clone(),
            code: error.code.clone(),
            message: error.message.clone(),
        },
        (State::Queued | State::Running, ..) => Error::failed(format!(
            "{name} is not converted yet. `audio-converter status {id} --wait` waits for it"
        )),
        (state, ..) => Error::failed(format!(
            "{name} was not converted: conversion {id} is {}",
            state.as_str()
        )),
    })
}

/// Brings the MP3 to its target: whole and checked, or not at all.
pub(crate) async fn download(
    client: &Client,
    id: ConversionId,
    mp3: &Mp3,
    target: &Target,
    terminal: &Terminal,
) -> Result<(), Error> {
    let mut part = target.part()?;
    let name = target.path().file_name().unwrap_or_default().to_string_lossy();
    let bar = terminal.bar(format!("downloading {name}"), Scale::Bytes(mp3.length));
    let fetched = patiently(
        Patience::Long,
        |error, pause| retried(&bar, error, pause),
        async || {
            bar.reach(0);
            let mut answer = client.mp3(id).await?;
            // A repetition begins anew.
            part.as_file().set_len(0)?;
            part.rewind()?;
            let (mut length, mut digest) = (0, sha2::Sha256::new());
            while let Some(bytes) = client.more(&mut answer).await? {
                part.write_all(&bytes)?;
                digest.update(&bytes);
                length += bytes.len() as u64;
                bar.reach(length);
            }
            check(mp3, length, &Sha256::from(<[u8; 32]>::from(digest.finalize())))
        },
    );
    fetched.await.map_err(|error| match error {
        ClientError::Disk(cause) => target.fault(&cause),
        error => error.into(),
    })?;
    target.commit(part)
}

fn check(mp3: &Mp3, length: u64, sha256: &Sha256) -> Result<(), ClientError> {
    if length != mp3.length {
        return Err(ClientError::Damaged(format!(
            "{length} bytes came, {} were promised",
            mp3.length
        )));
    }
    if *sha256 != mp3.sha256 {
        return Err(ClientError::Damaged(format!(
            "its SHA-256 is {sha256}, it should be {}",
            mp3.sha256
        )));
    }
    Ok(())
}

fn retried(bar: &Bar, error: &ClientError, pause: Duration) {
    bar.remark(format!("{error}; trying again in {}", unit::time(pause)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    /// Reads one request to its end; answers it, or hangs up where there is no answer.
    async fn one_request(server: &TcpListener, answer: Option<String>) -> String {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut stream_reader = BufReader::new(&mut stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream_reader.read_line(&mut head).await.unwrap(), 0, "{head}");
        }
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream_reader.read_exact(&mut body).await.unwrap();
        if let Some(answer) = answer {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        head
    }

    fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn answer(status: &str, body: &str) -> Option<String> {
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    async fn server() -> (TcpListener, Client) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap()).parse().unwrap();
        let token = Credentials::Token("token".into());
        let client = Client::sign_in(url, Some(token)).await.unwrap();
        (server, client)
    }

    const ACCEPTED: &str = r#"{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "a.mp4",
        "preset": "v2", "state": "queued", "progress": null, "attempt": 0,
        "created_at": "2026-11-23T06:00:00Z", "waiting": null, "mp3": null, "error": null}"#;

    #[tokio::test]
    async fn a_lost_answer_and_a_busy_server_are_asked_again_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let video = folder.path().join("a.mp4");
        std::fs::write(&video, "film").unwrap();
        let (server, client) = server().await;
        let busy = r#"{"status": 503, "code": "busy", "title": "Busy", "detail": "Full."}"#;
        let serve = async {
            let mut heads = Vec::new();
            for answer in [None, answer("503 Busy", busy), answer("202 Accepted", ACCEPTED)] {
                heads.push(one_request(&server, answer).await);
            }
            heads
        };
        let terminal = Terminal::new();
        let options = Options { allow_truncated: true, ..Options::default() };
        let (accepted, heads) = tokio::join!(upload(&client, &video, &options, &terminal), serve);
        assert_eq!(accepted.unwrap().name, "a.mp4");
        let keys: Vec<_> = heads.iter().map(|head| header(head, "idempotency-key")).collect();
        assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{heads:?}");
        assert!(
            heads[0].starts_with("POST /v1/videos?name=a.mp4&preset=v2&allow_truncated=true "),
            "{heads:?}"
        );
        assert_eq!(header(&heads[0], "authorization"), Some("Bearer token"));
    }

    /// The lines of the requests' heads that matter to waiting.
    async fn waited(answers: [Option<String>; 3]) -> Vec<(String, Option<String>)> {
        let (server, client) = server().await;
        let serve = async {
            let mut asked = Vec::new();
            for answer in answers {
                let head = one_request(&server, answer).await;
                let path = head.split(' ').nth(1).unwrap().rsplit_once("8057").unwrap().1;
                asked.push((path.to_owned(), header(&head, "if-none-match").map(str::to_owned)));
            }
            asked
        };
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let bar = Terminal::new().bar("", Scale::Percent);
        let (ended, asked) = tokio::join!(wait(&client, id, bar), serve);
        assert_eq!(ended.unwrap().state, State::Cancelled);
        asked
    }

    #[tokio::test]
    async fn waiting_is_the_servers_work_where_it_has_tags() {
        let ended = ACCEPTED.replace("queued", "cancelled");
        let tagged = answer("200 OK\r\netag: \"1\"", ACCEPTED);
        let same = Some("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned());
        let asked = waited([tagged, same, answer("200 OK", &ended)]).await;
        let waits = ("?wait=30".to_owned(), Some("\"1\"".to_owned()));
        assert_eq!(asked, [(String::new(), None), waits.clone(), waits]);
        let plain = || answer("200 OK", ACCEPTED);
        let asked = waited([plain(), plain(), answer("200 OK", &ended)]).await;
        assert!(asked.iter().all(|(path, tag)| path.is_empty() && tag.is_none()), "{asked:?}");
    }

    #[tokio::test]
    async fn a_damaged_mp3_never_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::free(&folder.path().join("a.mp3"));
        let (server, client) = server().await;
        let mp3 = serde_json::json!({"length": 4, "sha256": "00".repeat(32), "duration_ms": 1});
        let mp3: Mp3 = serde_json::from_value(mp3).unwrap();
        let serve = async {
            loop {
                one_request(&server, answer("200 OK", "song")).await;
            }
        };
        let (id, terminal) =
            ("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(), Terminal::new());
        let error = tokio::select! {
            ended = download(&client, id, &mp3, &target, &terminal) => ended.unwrap_err().to_string(),
            () = serve => unreachable!(),
        };
        assert!(error.contains("its SHA-256 is"), "{error}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "something was left");
    }
}
