//! Files: what is written comes back, nothing shows before its time, and nothing is left behind.

use crate::store::{Store, append, noise, put, sha256, upload};
use bytes::Bytes;
use domain::{ConversionId, PendingKind};
use futures::{FutureExt, TryStreamExt};
use storage::{Blob, Error, Storage};

/// GridFS chunk.
const CHUNK: usize = 255 << 10;
/// What the embedded store writes at once.
const BATCH: usize = 256 << 10;
/// What `stream` reads at once.
const STEP: usize = 1 << 20;

async fn whole(storage: &Storage, video: domain::VideoId) -> Vec<u8> {
    let reader = storage.open_video(video).await.unwrap();
    let length = reader.length();
    let parts: Vec<Bytes> = reader.stream(0..length).try_collect().await.unwrap();
    parts.concat()
}

async fn nothing_is_left(storage: &Storage, video: domain::VideoId) {
    assert_eq!(storage.pending(10).await.unwrap(), []);
    assert!(matches!(storage.open_video(video).await, Err(Error::NotFound)));
}

pub(crate) async fn what_is_written_in_any_pieces_is_read_back(Store { storage, .. }: Store) {
    let all = noise(5 << 20);
    let around = |size: usize| [size - 1, size, size + 1];
    let small = [0, 1, 2].into_iter().chain(around(CHUNK)).chain(around(9 * CHUNK));
    let sizes: Vec<_> =
        small.chain(around(2 * CHUNK)).chain(around(BATCH)).chain([all.len() - 7]).collect();
    for (size, piece) in
        sizes.into_iter().zip([1, 1, 65_536, 4099, CHUNK, 7919, 65_536].into_iter().cycle())
    {
        // Tiny pieces of a large file would only take long.
        let piece = piece.max(size / 4096);
        let (bytes, (video, file)) = (all.slice(..size), upload());
        let mut writer = storage.create(file).await.unwrap();
        append(&mut writer, &bytes, piece).await;
        let blob = writer.finish().await.unwrap();
        let expected = Blob { length: size as u64, sha256: sha256(&bytes) };
        assert_eq!(blob, expected, "{size} bytes in pieces of {piece}");
        assert!(whole(&storage, video).await == bytes, "{size} bytes in pieces of {piece}");
        assert_eq!(storage.open_video(video).await.unwrap().length(), size as u64);
    }
}

pub(crate) async fn any_range_is_read_across_every_boundary(Store { storage, .. }: Store) {
    let bytes = noise(2 * STEP + CHUNK + 3);
    let reader = storage.open_video(put(&storage, &bytes).await).await.unwrap();
    let edges = [0, CHUNK, 2 * CHUNK, STEP, 2 * STEP, bytes.len()];
    for from in edges.iter().flat_map(|edge| [edge.saturating_sub(1), *edge, edge + 1]) {
        for length in [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, STEP + 1, bytes.len(), usize::MAX] {
            let start = from.min(bytes.len());
            let expected = &bytes[start..start.saturating_add(length).min(bytes.len())];
            let read = reader.read_at(from as u64, length as u64).await.unwrap();
            assert!(read == expected, "{length} bytes from {from}");
        }
        let end = (from + STEP + 1) as u64;
        let parts: Vec<Bytes> =
            reader.clone().stream(from as u64..end).try_collect().await.unwrap();
        let expected = &bytes[from.min(bytes.len())..bytes.len().min(from + STEP + 1)];
        assert!(parts.concat() == expected, "a stream from {from}");
    }
    assert_eq!(reader.read_at(u64::MAX, u64::MAX).await.unwrap(), Bytes::new());
}

pub(crate) async fn a_patched_head_counts_in_the_hash(Store { storage, .. }: Store) {
    for size in [10, CHUNK, CHUNK + 1, 3 << 20] {
        let mut expected = noise(size).to_vec();
        let (video, file) = upload();
        let mut writer = storage.create(file).await.unwrap();
        append(&mut writer, &noise(size), 50_000).await;
        for offset in [0, 3, (size - 4).min(usize::try_from(storage::PATCHABLE).unwrap() - 4)] {
            expected[offset..offset + 4].copy_from_slice(b"Xing");
            writer.patch(offset as u64, Bytes::from_static(b"Xing")).await.unwrap();
        }
        // Bytes may still follow a patch.
        expected.extend_from_slice(b"tail");
        writer.append(Bytes::from_static(b"tail")).await.unwrap();
        let blob = writer.finish().await.unwrap();
        assert_eq!(
            (blob.length, blob.sha256),
            (expected.len() as u64, sha256(&expected)),
            "{size}"
        );
        assert!(whole(&storage, video).await == expected, "{size}");
    }
}

pub(crate) async fn a_patch_past_the_end_is_refused(Store { storage, .. }: Store) {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    writer.append(Bytes::from_static(b"abc")).await.unwrap();
    for offset in [1, 3, u64::MAX] {
        assert!(writer.patch(offset, Bytes::from_static(b"xyz")).await.is_err(), "{offset}");
    }
    writer.discard().await.unwrap();
    assert!(matches!(storage.open_video(video).await, Err(Error::NotFound)));
}

pub(crate) async fn an_unfinished_file_cannot_be_opened(Store { storage, .. }: Store) {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    for bytes in [Bytes::new(), noise(5 << 20)] {
        writer.append(bytes).await.unwrap();
        assert!(matches!(storage.open_video(video).await, Err(Error::NotFound)));
    }
    writer.finish().await.unwrap();
    storage.open_video(video).await.unwrap();
}

pub(crate) async fn a_writer_that_dies_at_any_step_leaves_a_marker(Store { storage, .. }: Store) {
    for step in 0..4 {
        let (video, file) = upload();
        let mut writer = storage.create(file).await.unwrap();
        for bytes in [noise(10), noise(5 << 20)].into_iter().take(step) {
            writer.append(bytes).await.unwrap();
        }
        if step == 3 {
            writer.finish().await.unwrap();
        } else {
            drop(writer);
        }
        let markers = storage.pending(10).await.unwrap();
        assert_eq!(markers.iter().map(|marker| marker.kind).collect::<Vec<_>>(), [file], "{step}");
        storage.delete(file).await.unwrap();
        storage.forget(file).await.unwrap();
        nothing_is_left(&storage, video).await;
    }
}

pub(crate) async fn discarding_leaves_nothing(Store { storage, url }: Store) {
    for size in [0, 1, CHUNK, 5 << 20] {
        let (video, file) = upload();
        let mut writer = storage.create(file).await.unwrap();
        append(&mut writer, &noise(size), 300_000).await;
        writer.discard().await.unwrap();
        nothing_is_left(&storage, video).await;
    }
    no_bytes_are_left(&url).await;
}

pub(crate) async fn deleting_leaves_nothing_and_repeats(Store { storage, url }: Store) {
    let (conversion, claim) = (ConversionId::generate(), 3);
    let mp3 = conversion.mp3(claim);
    let file = PendingKind::Mp3 { mp3, conversion, claim };
    for _ in 0..2 {
        let mut writer = storage.create(file).await.unwrap();
        append(&mut writer, &noise(3 << 20), 300_000).await;
        writer.finish().await.unwrap();
        storage.forget(file).await.unwrap();
        assert_eq!(storage.open_mp3(mp3).await.unwrap().length(), 3 << 20);
        for _ in 0..2 {
            storage.delete(file).await.unwrap();
            storage.forget(file).await.unwrap();
        }
        assert!(matches!(storage.open_mp3(mp3).await, Err(Error::NotFound)));
    }
    assert_eq!(storage.pending(10).await.unwrap(), []);
    no_bytes_are_left(&url).await;
}

/// Looks behind the store's back.
pub(crate) async fn no_bytes_are_left(url: &str) {
    if let Some(folder) = url.strip_prefix("file:") {
        for place in ["videos", "mp3s"] {
            assert_eq!(std::fs::read_dir(format!("{folder}/{place}")).unwrap().count(), 0);
        }
        return;
    }
    let client = mongodb::Client::with_uri_str(url).await.unwrap();
    let database = client.default_database().unwrap();
    for place in ["videos.files", "videos.chunks", "mp3s.files", "mp3s.chunks"] {
        let rows = database.collection::<mongodb::bson::Document>(place);
        assert_eq!(rows.count_documents(mongodb::bson::doc! {}).await.unwrap(), 0, "{place}");
    }
}

pub(crate) async fn a_swept_writer_cannot_finish(Store { storage, url }: Store) {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    append(&mut writer, &noise(5 << 20), 300_000).await;
    storage.delete(file).await.unwrap();
    storage.forget(file).await.unwrap();
    writer.append(noise(10)).await.unwrap();
    assert!(writer.finish().await.is_err());
    nothing_is_left(&storage, video).await;
    no_bytes_are_left(&url).await;
}

pub(crate) async fn a_cancelled_append_spoils_the_file(Store { storage, url }: Store) {
    let (video, file) = upload();
    let mut writer = storage.create(file).await.unwrap();
    // The batches are more than fit into the first poll; the call is dropped while they are written.
    assert!(writer.append(noise(9 << 20)).now_or_never().is_none());
    assert!(writer.append(noise(1)).await.is_err());
    assert!(writer.finish().await.is_err());
    assert!(matches!(storage.open_video(video).await, Err(Error::NotFound)));
    assert_eq!(storage.pending(10).await.unwrap().len(), 1);
    storage.delete(file).await.unwrap();
    if url.starts_with("file:") {
        // What the cancelled call still writes goes to a file without a name. A server may get it
        // after the deletion; hence the marker, and the sweeper's second deletion.
        no_bytes_are_left(&url).await;
    }
}

/// Only a device that is always full can say so on demand.
pub(crate) async fn a_full_disk_is_said_to_be_full() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().display());
    let storage = Storage::open(&url).await.unwrap();
    let (video, file) = upload();
    let part = folder.path().join(format!("videos/{video}.part"));
    std::os::unix::fs::symlink("/dev/full", part).unwrap();
    let mut writer = storage.create(file).await.unwrap();
    let refused = writer.append(noise(2 * BATCH)).await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    writer.discard().await.unwrap();
    nothing_is_left(&storage, video).await;
    no_bytes_are_left(&url).await;
}

pub(crate) async fn markers_come_longest_silent_first(Store { storage, .. }: Store) {
    let mut files = Vec::new();
    for _ in 0..3 {
        let (_, file) = upload();
        drop(storage.create(file).await.unwrap());
        files.push(file);
    }
    let markers = storage.pending(2).await.unwrap();
    assert_eq!(markers.len(), 2);
    let all = storage.pending(10).await.unwrap();
    assert!(all.is_sorted_by_key(|marker| marker.touched_at.as_millisecond()));
    assert!(files.iter().all(|file| all.iter().any(|marker| marker.kind == *file)));
}
