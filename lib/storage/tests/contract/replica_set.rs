//! Replica sets of this test's own, on loopback, from the program that `MONGOD` names: one of a single
//! member for the contract, and one of three whose primary is killed.

use crate::store::{added, at, changed, noise, put, upload};
use domain::{Change, VideoId};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use std::{
    env,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use storage::{Error, Storage};
use tempfile::TempDir;

/// An election takes a second or two.
const LIMIT: Duration = Duration::from_secs(60);

/// A running set; ends when dropped.
pub(crate) struct ReplicaSet {
    members: Vec<Member>,
    _data: TempDir,
}

struct Member {
    port: u16,
    mongod: Child,
}

impl ReplicaSet {
    /// Starts the members. They are bound to the calling thread, which must outlive them.
    pub(crate) fn start(count: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let members = (0..count)
            .map(|n| {
                let folder = data.path().join(n.to_string());
                std::fs::create_dir(&folder).unwrap();
                let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                let mongod = Command::new("setpriv")
                    .args(["--pdeathsig", "KILL"])
                    .arg(env::var_os("MONGOD").unwrap())
                    .args(["--replSet", "contract", "--bind_ip", "127.0.0.1", "--quiet"])
                    .args(["--port", &port.to_string(), "--wiredTigerCacheSizeGB", "0.25"])
                    .args(["--nounixsocket", "--oplogSize", "256", "--dbpath"])
                    .arg(&folder)
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap();
                Member { port, mongod }
            })
            .collect();
        Self { members, _data: data }
    }

    fn hosts(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect()
    }

    /// Its address without a database.
    pub(crate) fn server(&self) -> String {
        format!("mongodb://{}", self.hosts().join(","))
    }

    /// Makes a set of the members, and waits for its primary.
    pub(crate) async fn initiate(&self) {
        let members = self.hosts().into_iter().zip(0..);
        let members: Vec<_> = members.map(|(host, id)| doc! { "_id": id, "host": host }).collect();
        let config = doc! {
            "_id": "contract", "members": members, "settings": { "electionTimeoutMillis": 1000 },
        };
        eventually(async || {
            let made = ask(self.members[0].port, doc! { "replSetInitiate": &config }).await;
            made.is_some()
        })
        .await;
        eventually(async || self.primary().await.is_some()).await;
    }

    /// Which member is the primary.
    async fn primary(&self) -> Option<usize> {
        for (n, member) in self.members.iter().enumerate() {
            let hello = ask(member.port, doc! { "hello": 1 }).await;
            if hello.is_some_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                return Some(n);
            }
        }
        None
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.mongod.kill();
            let _ = member.mongod.wait();
        }
    }
}

/// One member's answer, if it gives one.
async fn ask(port: u16, command: Document) -> Option<Document> {
    let url =
        format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000");
    let client = Client::with_uri_str(url).await.unwrap();
    client.database("admin").run_command(command).await.ok()
}

/// Tries until it is so.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}");
        tokio::task::yield_now().await;
    }
}

/// What was acknowledged is still there under the next primary, and an upload that was under way
/// either is whole or does not exist.
pub(crate) async fn a_killed_primary_takes_nothing_along(mut set: ReplicaSet) {
    set.initiate().await;
    let url = format!("{}/killed?replicaSet=contract", set.server());
    let storage = Storage::open(&url).await.unwrap();
    let record = added(&storage, at(1)).await;
    changed(&storage, record.id, &[Change::Dispatch { attempt: 1 }]).await;
    let bytes = noise(24 << 20);
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    writer.append(bytes.slice(..12 << 20)).await.unwrap();
    let claimed = storage.change(record.id, &Change::Claim { attempt: 1 }).await.unwrap();
    let primary = set.primary().await.unwrap();
    set.members[primary].mongod.kill().unwrap();
    // Whoever asks meanwhile gets an error or the truth.
    eventually(async || match storage.conversion(record.id).await {
        Ok(found) => {
            assert_eq!(found, claimed);
            true
        }
        Err(error) => {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
            false
        }
    })
    .await;
    let rest = writer.append(bytes.slice(12 << 20..)).await;
    let finished = match rest {
        Ok(()) => writer.finish().await.map(drop),
        Err(error) => Err(error),
    };
    match finished {
        Ok(()) => read_back(&storage, video, &bytes).await,
        Err(_) => assert!(matches!(storage.open_video(video).await, Err(Error::NotFound))),
    }
    let again = put(&storage, &bytes).await;
    read_back(&storage, again, &bytes).await;
    assert_eq!(storage.conversion(record.id).await.unwrap().claim, 1);
}

async fn read_back(storage: &Storage, video: VideoId, bytes: &[u8]) {
    let reader = storage.open_video(video).await.unwrap();
    assert!(reader.read_at(0, reader.length()).await.unwrap() == bytes);
}
