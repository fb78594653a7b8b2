//! From a Job's creation to the first byte of its video, against the same Job with a static program that
//! does nothing, until that program runs. Both ends are seen here, by one clock: ours by a proxy before
//! MongoDB, which the first bytes pass, the peer's by a listener that its program connects to.

use super::{
    bare::{self, Watch},
    place::{Place, output},
    stored,
};
use crate::{
    Result,
    report::{Row, median},
};
use anyhow::{Context, ensure};
use domain::Video;
use serde_json::{Value, json};
use std::{
    env, io,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};

const PAIRS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
const NO_OP: &str = r#"fn main() {
    let _ = std::net::TcpStream::connect(std::env::args().nth(1).unwrap_or_default());
}"#;
const NO_OP_IMAGE: &str = "audio-converter.local/no-op:test";
/// How a query for a video's bytes begins.
const QUERY: &[u8] = b"\x02find\0\x0e\0\0\0videos.chunks\0";

pub(crate) async fn measure(place: &mut Place) -> Result<Vec<Row>> {
    let Ok(host) = env::var("CLUSTER_HOST_ADDRESS") else {
        eprintln!("left out, CLUSTER_HOST_ADDRESS is not set: where pods reach this machine");
        return Ok(Vec::new());
    };
    no_op(place.folder.path())?;
    let clip = stored::clip(place.folder.path(), 1)?;
    let mut watch = place.bare.watch().await?;
    let job = made_job(place, &mut watch, &clip).await?;
    let video = stored::video(&place.bare_storage, &clip).await?;
    let mut proxy = Proxy::open(&host).await?;
    let listener = TcpListener::bind((host.as_str(), 0)).await?;
    // Warms both sides.
    ours(place, &mut watch, &mut proxy, &video, &job).await?;
    peer(place, &mut watch, &listener, &job, 0).await?;
    let (mut pairs, mut beyond) = (Vec::new(), Vec::new());
    for n in 1..=PAIRS {
        let ours = ours(place, &mut watch, &mut proxy, &video, &job).await?;
        let bare = peer(place, &mut watch, &listener, &job, n).await?;
        pairs.push((ours, bare));
        beyond.push(ours - bare);
    }
    Ok(vec![
        Row::of_pairs("Job to its video's first byte", &pairs, f64::INFINITY, "ms"),
        Row::of_limit("what comes on top of a static no-op", median(beyond), 100.0, "ms"),
    ])
}

/// Builds the program that does nothing and puts its image on the node.
fn no_op(folder: &Path) -> Result {
    let (source, program) = (folder.join("no-op.rs"), folder.join("no-op"));
    std::fs::write(&source, NO_OP)?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "-O", "-Ctarget-feature=+crt-static"]);
    output(rustc.arg(&source).arg("-o").arg(&program))?;
    output(Command::new("tests/cluster/image").arg(&program).arg(NO_OP_IMAGE)).map(drop)
}

/// A Job as the dispatcher makes it, which has gone by the time that others are measured.
async fn made_job(place: &mut Place, watch: &mut Watch, clip: &Path) -> Result<Value> {
    let video = stored::video(&place.storage, clip).await?;
    place.dispatcher(1, &[])?;
    let record = &stored::queued(&place.storage, &video, 1).await?[0];
    stored::publish(place, record).await?;
    let job = watch.created(None).await?.job;
    stored::until(&place.storage, record.id, |record| record.published).await?;
    place.kill("dispatcher");
    Ok(job)
}

/// Milliseconds from the answer to the Job's POST until a byte of the video comes to the converter.
async fn ours(
    place: &Place,
    watch: &mut Watch,
    proxy: &mut Proxy,
    video: &Video,
    job: &Value,
) -> Result<f64> {
    let record = &stored::running(&place.bare_storage, video, 1).await?[0];
    let (name, id) = (format!("bare-{}", record.id), record.id.to_string());
    let url = proxy.before(&place.bare_storage_url()?);
    let job = bare::like(job, &name, &[("CONVERSION_ID", &id), ("STORAGE_URL", &url)]);
    while proxy.read.try_recv().is_ok() {}
    place.bare.create(&job).await?;
    let start = Instant::now();
    let read = timeout(PATIENCE, proxy.read.recv()).await.context("nothing is read")?;
    let took = read.context("the proxy has ended")? - start;
    watch.until(|seen| seen.name() == name && seen.is_complete()).await?;
    Ok(took.as_secs_f64() * 1000.0)
}

/// Milliseconds until the program that does nothing runs.
async fn peer(
    place: &Place,
    watch: &mut Watch,
    listener: &TcpListener,
    job: &Value,
    n: usize,
) -> Result<f64> {
    let name = format!("no-op-{n}");
    let mut job = bare::like(job, &name, &[]);
    let container = &mut job["spec"]["template"]["spec"]["containers"][0];
    container["image"] = json!(NO_OP_IMAGE);
    container["args"] = json!([listener.local_addr()?.to_string()]);
    place.bare.create(&job).await?;
    let start = Instant::now();
    timeout(PATIENCE, listener.accept()).await.context("nothing runs")??;
    let took = start.elapsed();
    watch.until(|seen| seen.name() == name && seen.is_complete()).await?;
    Ok(took.as_secs_f64() * 1000.0)
}

/// Passes everything on between converters and MongoDB.
struct Proxy {
    address: SocketAddr,
    server: String,
    /// When an answer to a query for a video's bytes passed.
    read: mpsc::UnboundedReceiver<Instant>,
}

impl Proxy {
    async fn open(host: &str) -> Result<Self> {
        let url: reqwest::Url = env::var("MONGODB_URL")?.parse()?;
        let server =
            format!("{}:{}", url.host_str().context("a host")?, url.port().unwrap_or(27017));
        ensure!(url.as_str().contains(&server), "{url} names no port");
        let listener = TcpListener::bind((host, 0)).await?;
        let (address, to) = (listener.local_addr()?, server.clone());
        let (send, read) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, to.clone(), send.clone()));
            }
        });
        Ok(Self { address, server, read })
    }

    /// The address of a database, by way of this proxy.
    fn before(&self, url: &str) -> String {
        url.replace(&self.server, &self.address.to_string())
    }
}

async fn pass(
    client: TcpStream,
    server: String,
    read: mpsc::UnboundedSender<Instant>,
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let asked = AtomicBool::new(false);
    let questions = copy(from_client, to_server, |part| {
        if part.windows(QUERY.len()).any(|bytes| bytes == QUERY) {
            asked.store(true, Ordering::Relaxed);
        }
    });
    let answers = copy(from_server, to_client, |_| {
        if asked.swap(false, Ordering::Relaxed) {
            let _ = read.send(Instant::now());
        }
    });
    tokio::try_join!(questions, answers).map(drop)
}

/// Copies to the end, and shows each part before it goes on.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    show: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut part = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut part).await?;
        let part = &part[..length];
        if part.is_empty() {
            return to.shutdown().await;
        }
        show(part);
        to.write_all(part).await?;
    }
}
