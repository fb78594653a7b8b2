//! A running gateway and everything behind it.

use crate::{
    auth::{Auth, Signer},
    http::Answer,
};
use domain::{Conversion, ConversionId, VideoId};
use gateway::{HttpConfig, Server};
use queue::Queue;
use reqwest::{Client, Method, RequestBuilder};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use storage::Storage;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in a test.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stack {
    pub(crate) address: SocketAddr,
    pub(crate) storage: Storage,
    pub(crate) queue: Queue,
    pub(crate) signer: Signer,
    pub(crate) auth: Arc<Auth>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
    client: Client,
    folder: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, None).await
    }

    /// Starts with another configuration, or with messages at another address.
    pub(crate) async fn with(
        adjust: impl FnOnce(&mut HttpConfig),
        queue_url: Option<&str>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("file:{}", folder.path().display());
        let storage = Storage::open(&url).await.unwrap();
        let queue = Queue::open(queue_url.unwrap_or(&url)).await.unwrap();
        let signer = Signer::new("one");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let auth_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let auth = crate::auth::serve(listener, &signer);
        let mut http = HttpConfig::new(auth_url);
        http.listen.set_port(0);
        adjust(&mut http);
        let server = Server::with(http, storage.clone(), queue.clone()).await.unwrap();
        let (address, shutdown) = (server.address(), CancellationToken::new());
        let server = tokio::spawn(server.run(shutdown.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, storage, queue, signer, auth, shutdown, server, client, folder }
    }

    /// A request without a token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request of this user.
    pub(crate) fn ask(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.signer.token(user))
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Answer {
        Answer::of(self.ask(user, Method::GET, path)).await
    }

    pub(crate) async fn post(
        &self,
        user: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        Answer::of(self.ask(user, Method::POST, path).body(body)).await
    }

    /// Uploads a video for this user and returns its conversion.
    pub(crate) async fn upload(&self, user: &str, body: &'static str) -> Conversion {
        let answer = self.post(user, "/v1/videos?name=film.mp4", body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        self.storage.conversion(answer.id()).await.unwrap()
    }

    /// The stored bytes of a video.
    pub(crate) async fn stored(&self, video: VideoId) -> Vec<u8> {
        let reader = self.storage.open_video(video).await.unwrap();
        reader.read_at(0, reader.length()).await.unwrap().to_vec()
    }

    pub(crate) async fn conversion_of(&self, answer: &Answer) -> Conversion {
        let id: ConversionId =
            answer.header("location").rsplit_once('/').unwrap().1.parse().unwrap();
        self.storage.conversion(id).await.unwrap()
    }

    /// The files in one folder of the storage.
    pub(crate) fn files(&self, place: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(place)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// How many uploads are not settled.
    pub(crate) async fn pending(&self) -> usize {
        self.storage.pending(1000).await.unwrap().len()
    }

    /// Waits until this many videos are stored and none is on its way.
    pub(crate) async fn settles_at(&self, videos: usize) {
        until("the uploads are settled", async || {
            self.pending().await == 0 && self.files("videos").len() == videos
        })
        .await;
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let (limit, mut looks) = (Instant::now() + PATIENCE, interval(Duration::from_millis(5)));
    while !holds().await {
        assert!(Instant::now() < limit, "waited in vain until {what}");
        looks.tick().await;
    }
}
