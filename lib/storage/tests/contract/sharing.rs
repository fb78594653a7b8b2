//! Sharing: several handles and several processes on one store, as the server and its converters are.

use crate::store::{Store, added, at, changed, noise, put, video_of};
use domain::{Change, Conversion, Video};
use futures::future::join_all;
use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};
use storage::{AddError, Storage};
use tokio::runtime::Builder;

pub(crate) async fn two_handles_see_one_store(Store { storage, url }: Store) {
    let other = Storage::open(&url).await.unwrap();
    let video = put(&storage, &noise(1000)).await;
    assert_eq!(other.open_video(video).await.unwrap().read_at(0, 1000).await.unwrap(), noise(1000));
    let id = added(&other, at(1)).await.id;
    changed(&storage, id, &[Change::Dispatch { attempt: 1 }]).await;
    let handles = [&storage, &other];
    let claim = Change::Claim { attempt: 1 };
    let claimed = join_all((0..20).map(|n| handles[n % 2].change(id, &claim))).await;
    let claims: BTreeSet<_> = claimed.into_iter().map(|record| record.unwrap().claim).collect();
    assert_eq!(claims.len(), 20);
}

/// Names the store to the processes that `is_claiming_process` finds itself in.
const URL: &str = "CONTRACT_STORE";
/// And the record.
const RECORD: &str = "CONTRACT_RECORD";

const PROCESSES: usize = 4;
const CLAIMS: usize = 25;

pub(crate) async fn processes_that_open_a_new_store_at_once_lose_nothing(Store { url, .. }: Store) {
    // A store beside the test's own, so that it is the processes who make it; in MongoDB the name is
    // kept, or nobody would drop it.
    let new = if url.starts_with("file:") { format!("{url}-new") } else { url };
    let record =
        crate::store::conversion_of(&crate::store::video_of(&crate::store::ada()), None, at(1));
    let body = serde_json::to_string(&record).unwrap();
    let start = |_| {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.env(URL, &new).env(RECORD, &body).stdout(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<_> = (0..PROCESSES).map(start).collect();
    let mut claims = BTreeSet::new();
    for process in started {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        claims.extend(
            text.split_whitespace()
                .filter_map(|word| word.strip_prefix("claim=")?.parse::<usize>().ok()),
        );
    }
    assert_eq!(claims, (1..=PROCESSES * CLAIMS).collect());
    let storage = Storage::open(&new).await.unwrap();
    assert_eq!(storage.conversion(record.id).await.unwrap().claim as usize, PROCESSES * CLAIMS);
}

/// Whether this is one of the processes of the test above; if so, it has done its part.
pub(crate) fn is_claiming_process() -> bool {
    let (Ok(url), Ok(body)) = (std::env::var(URL), std::env::var(RECORD)) else {
        return false;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(claim(&url, &body));
    true
}

async fn claim(url: &str, body: &str) {
    let storage = Storage::open(url).await.unwrap();
    let record: Conversion = serde_json::from_str(body).unwrap();
    let video = Video { id: record.video, ..video_of(&record.owner) };
    match storage.accept(&video, &record).await {
        Ok(()) => {}
        Err(AddError::Duplicate(first)) => assert_eq!(first.id, record.id),
        Err(error) => panic!("{error}"),
    }
    // Where another process was first this is refused or changes nothing.
    let _ = storage.change(record.id, &Change::Dispatch { attempt: 1 }).await;
    for _ in 0..CLAIMS {
        let claimed = storage.change(record.id, &Change::Claim { attempt: 1 }).await.unwrap();
        let mut line = std::io::stdout().lock();
        std::io::Write::write_all(&mut line, format!("claim={} \n", claimed.claim).as_bytes())
            .unwrap();
    }
}
