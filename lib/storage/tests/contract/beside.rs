//! Texts beside a file: there as soon as the file is, gone with it, and never without it.

use crate::{
    blobs::no_bytes_are_left,
    store::{Store, accepted, ada, append, conversion_of, noise, running, upload, video_of},
};
use bytes::Bytes;
use domain::{Change, Conversion, ConversionId, Mp3, Mp3Id, PendingKind};
use jiff::Timestamp;
use storage::{Beside, BlobWriter, Storage};

fn mp3() -> (Mp3Id, PendingKind) {
    let (conversion, claim) = (ConversionId::generate(), 1);
    let mp3 = conversion.mp3(claim);
    (mp3, PendingKind::Mp3 { mp3, conversion, claim })
}

/// As long as they get, with all that JSON has to escape.
fn texts() -> Beside {
    let data = "-128,127,".repeat(8192);
    Beside {
        report: "{\"options\": {\"\u{1f3b5}\": \"a\\\\b\\n$.\"}}".to_owned(),
        waveform: Some(format!("{{\"data\":[{data}0]}}")),
    }
}

async fn begun(storage: &Storage, file: PendingKind, length: usize) -> BlobWriter {
    let mut writer = storage.create(file).await.unwrap();
    append(&mut writer, &noise(length), 300_000).await;
    writer
}

pub(crate) async fn texts_come_and_go_with_their_file(Store { storage, url }: Store) {
    let short = Beside { report: String::new(), waveform: None };
    for (beside, length) in [(texts(), 3 << 20), (short, 0)] {
        let (mp3, file) = mp3();
        let writer = begun(&storage, file, length).await;
        assert_eq!(storage.beside(mp3).await.unwrap(), None, "before the end");
        let blob = writer.finish_with(&beside).await.unwrap();
        storage.forget(file).await.unwrap();
        assert_eq!(blob.length, length as u64);
        assert_eq!(storage.beside(mp3).await.unwrap(), Some(beside));
        // They are no part of the file.
        let reader = storage.open_mp3(mp3).await.unwrap();
        assert!(reader.read_at(0, u64::MAX).await.unwrap() == noise(length));
        let again = Storage::open(&url).await.unwrap();
        assert!(again.beside(mp3).await.unwrap().is_some(), "another handle");
        for _ in 0..2 {
            storage.delete(file).await.unwrap();
            assert_eq!(storage.beside(mp3).await.unwrap(), None, "deleted");
        }
    }
    no_bytes_are_left(&url).await;
}

pub(crate) async fn a_file_without_texts_has_none(Store { storage, .. }: Store) {
    let (mp3, file) = mp3();
    begun(&storage, file, 10).await.finish().await.unwrap();
    assert_eq!(storage.beside(mp3).await.unwrap(), None);
    assert_eq!(storage.open_mp3(mp3).await.unwrap().length(), 10);
    assert_eq!(storage.beside(self::mp3().0).await.unwrap(), None, "no such file");
}

pub(crate) async fn a_writer_that_does_not_finish_leaves_no_texts(Store { storage, url }: Store) {
    // Discarded.
    let (mp3, file) = mp3();
    begun(&storage, file, 5 << 20).await.discard().await.unwrap();
    assert_eq!(storage.beside(mp3).await.unwrap(), None);
    // Taken for dead by the sweeper, and then at its end: with its marker, and without.
    for forgotten in [true, false] {
        let (mp3, file) = self::mp3();
        let writer = begun(&storage, file, 10).await;
        storage.delete(file).await.unwrap();
        if forgotten {
            storage.forget(file).await.unwrap();
        }
        // GridFS may yet make a file of what had not been sent; its marker is still there then.
        let ended = writer.finish_with(&texts()).await;
        assert!(ended.is_err() || (!forgotten && url.starts_with("mongodb")));
        if ended.is_ok() {
            storage.delete(file).await.unwrap();
        }
        storage.forget(file).await.unwrap();
        assert_eq!(storage.beside(mp3).await.unwrap(), None);
    }
    // Dead by itself: the sweeper deletes what it left.
    let (_, file) = self::mp3();
    drop(begun(&storage, file, 10).await);
    storage.delete(file).await.unwrap();
    storage.forget(file).await.unwrap();
    no_bytes_are_left(&url).await;
}

pub(crate) async fn a_purge_takes_the_texts_along(Store { storage, url }: Store) {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    writer.append(Bytes::from_static(b"film")).await.unwrap();
    writer.finish().await.unwrap();
    let video = domain::Video { id: video, ..video_of(&ada()) };
    let conversion = conversion_of(&video, None, Timestamp::now());
    accepted(&storage, &conversion).await;
    let Conversion { id, claim, .. } = running(&storage, conversion.id).await;
    let mp3 = id.mp3(claim);
    let file = PendingKind::Mp3 { mp3, conversion: id, claim };
    let blob = begun(&storage, file, 10).await.finish_with(&texts()).await.unwrap();
    let (length, sha256) = (blob.length, blob.sha256);
    let mp3 = Mp3 { id: mp3, length, sha256, duration_ms: 1, loudness: None };
    storage.change(id, &Change::Succeed { claim, mp3: mp3.clone() }).await.unwrap();
    storage.forget(file).await.unwrap();
    assert_eq!(storage.beside(mp3.id).await.unwrap(), Some(texts()));
    storage.condemn(&video, Timestamp::now()).await.unwrap();
    storage.purge(video.id).await.unwrap();
    assert_eq!(storage.beside(mp3.id).await.unwrap(), None);
    no_bytes_are_left(&url).await;
}
