//! Attempts over storage on this machine: what the record says afterwards, and what is left.

use crate::{
    material::{Folder, names, wav},
    program::{Ended, decoder_of, end, kill, pid_of, program},
};
use bytes::Bytes;
use domain::{
    Cause, Change, Conversion, ConversionId, FileName, NewConversion, Options, PendingKind, Preset,
    Reason, Report, Role, State, Video, VideoId, Waveform,
};
use jiff::Timestamp;
use rustix::process::Signal;
use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use storage::Storage;

/// A store with one video and its dispatched conversion.
struct Stage {
    folder: Folder,
    storage: Storage,
    id: ConversionId,
}

impl Stage {
    async fn with(video: &[u8]) -> Self {
        Self::asked(video, Options::default()).await
    }

    async fn asked(video: &[u8], options: Options) -> Self {
        let folder = Folder::new();
        let storage = Storage::open(&url(&folder)).await.unwrap();
        let file = VideoId::generate();
        let mut writer = storage.create(PendingKind::Video { video: file }).await.unwrap();
        writer.append(Bytes::copy_from_slice(video)).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let video = Video {
            id: file,
            owner: "ada".parse().unwrap(),
            name: FileName::from("film.mp4".to_owned()),
            length: blob.length,
            sha256: blob.sha256,
            created_at: Timestamp::now(),
            expires_at: None,
            deleted: false,
            foreign_fid: None,
        };
        let new = NewConversion {
            video: &video,
            role: Role::User,
            options,
            idempotency: None,
            mp3_kept_for: None,
        };
        let conversion = Conversion::new(ConversionId::generate(), new, Timestamp::now());
        storage.accept(&video, &conversion).await.unwrap();
        let stage = Self { folder, storage, id: conversion.id };
        stage.change(Change::Dispatch { attempt: 1 }).await;
        stage
    }

    /// A stage whose conversion takes a while.
    async fn with_long_video() -> Self {
        let folder = Folder::new();
        let video = std::fs::read(folder.long_sound("long.flac", 15)).unwrap();
        Self::with(&video).await
    }

    async fn change(&self, change: Change) -> Conversion {
        self.storage.change(self.id, &change).await.unwrap()
    }

    async fn record(&self) -> Conversion {
        self.storage.conversion(self.id).await.unwrap()
    }

    fn start(&self, attempt: u32, settings: &[(&str, &str)]) -> Child {
        let mut command = program();
        command
            .arg("attempt")
            .env_clear()
            .env("STORAGE_URL", url(&self.folder))
            .env("CONVERSION_ID", self.id.to_string())
            .env("ATTEMPT", attempt.to_string())
            .env("TERMINATION_LOG", self.folder.path("termination-log"))
            .envs(settings.iter().copied());
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Conversion) -> bool) -> Conversion {
        let began = Instant::now();
        loop {
            let record = self.record().await;
            if condition(&record) {
                return record;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "waited in vain until {what}: {record:?}"
            );
            tokio::task::yield_now().await;
        }
    }

    /// Starts an attempt and waits until its decoder has got somewhere.
    async fn at_work(&self, attempt: u32, settings: &[(&str, &str)]) -> Child {
        let child = self.start(attempt, settings);
        self.until("it is at work", |record| {
            record.attempt == attempt && record.progress > Some(0)
        })
        .await;
        child
    }

    /// The names of all files of MP3s, without the texts beside those that are whole.
    fn mp3s(&self) -> Vec<String> {
        let mut names = names(&self.folder.path("mp3s"));
        let whole = names.clone();
        names.retain(|name| {
            name.strip_suffix(".json").is_none_or(|id| !whole.contains(&id.to_owned()))
        });
        names
    }

    async fn assert_nothing_is_left(&self) {
        assert_eq!(self.mp3s(), [""; 0]);
        assert!(self.storage.pending(9).await.unwrap().is_empty());
    }
}

fn url(folder: &Folder) -> String {
    format!("file:{}", folder.path("").display())
}

fn assert_end(ended: &Ended, code: i32, line: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.line().starts_with(&format!("converter-job: {line}")), "{ended:?}");
}

fn second_of_sound() -> Vec<u8> {
    wav(48_000, 2, 48_000 * 4)
}

#[tokio::test]
async fn a_conversion_ends_with_its_mp3_in_the_record() {
    let stage = Stage::with(&second_of_sound()).await;
    std::fs::write(stage.folder.path("termination-log"), "").unwrap();
    assert_end(&end(stage.start(1, &[])), 0, "succeeded: 0:00:01");
    let record = stage.record().await;
    let mp3 = record.mp3.unwrap();
    assert_eq!((record.state, mp3.id, mp3.duration_ms), (State::Succeeded, stage.id.mp3(1), 1000));
    let reader = stage.storage.open_mp3(mp3.id).await.unwrap();
    let bytes = reader.read_at(0, u64::MAX).await.unwrap();
    assert_eq!(bytes.len() as u64, mp3.length);
    // The header with the number of frames was patched in at the end.
    assert!(bytes.windows(4).any(|word| word == b"Xing" || word == b"Info"));
    assert!(stage.storage.pending(9).await.unwrap().is_empty());
    let told = std::fs::read_to_string(stage.folder.path("termination-log")).unwrap();
    assert!(told.starts_with("converter-job: succeeded: "), "{told}");
}

#[tokio::test]
async fn a_report_and_a_waveform_are_stored_beside_the_mp3() {
    let options = Options { allow_truncated: true, ..Options::default() };
    let stage = Stage::asked(&second_of_sound()[..100_000], options.clone()).await;
    assert_end(&end(stage.start(1, &[])), 0, "succeeded: 0:00:01");
    let mp3 = stage.record().await.mp3.unwrap();
    let beside = stage.storage.beside(mp3.id).await.unwrap().unwrap();
    let report: Report = serde_json::from_str(&beside.report).unwrap();
    assert_eq!(
        (report.origin.container.as_str(), report.origin.codec.as_str()),
        ("wav", "pcm_s16le")
    );
    assert_eq!((report.duration_ms, report.mp3.length), (mp3.duration_ms, mp3.length));
    assert_eq!((report.options, report.warnings.len()), (options, 1));
    let waveform: Waveform = serde_json::from_str(&beside.waveform.unwrap()).unwrap();
    assert_eq!((waveform.sample_rate(), waveform.data()), (48_000, &[0; 2 * 98][..]));
}

#[tokio::test]
async fn a_measured_loudness_is_in_the_record() {
    let folder = Folder::new();
    let video = std::fs::read(folder.long_sound("tone.flac", 1)).unwrap();
    let speech = Options { preset: Preset::Speech, ..Options::default() };
    let stage = Stage::asked(&video, speech).await;
    assert_end(&end(stage.start(1, &[])), 0, "succeeded: 0:01:00");
    let loudness = stage.record().await.mp3.unwrap().loudness.unwrap();
    let [lufs, gain] = [loudness.integrated_lufs, loudness.gain_db].map(f64::from);
    assert!((lufs + gain + 16.0).abs() < 0.02, "{loudness:?}");
}

#[tokio::test]
async fn of_two_processes_of_one_attempt_one_makes_the_mp3() {
    let stage = Stage::with_long_video().await;
    let first = stage.start(1, &[]);
    stage.until("the first has claimed", |record| record.claim == 1).await;
    let second = stage.start(1, &[]);
    let ends = [end(first), end(second)];
    for ended in &ends {
        assert_eq!(ended.code, Some(0), "{ends:?}");
    }
    let made = |word| ends.iter().filter(|ended| ended.line().contains(word)).count();
    assert_eq!((made("succeeded: "), made("superseded: ")), (1, 1), "{ends:?}");
    let mp3 = stage.record().await.mp3.unwrap();
    assert_eq!(stage.mp3s(), [mp3.id.to_string()]);
    assert!(stage.storage.pending(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_process_that_slept_through_its_successor_changes_nothing() {
    let stage = Stage::with_long_video().await;
    let sleeper = stage.at_work(1, &[]).await;
    kill(pid_of(&sleeper), Signal::STOP);
    assert_end(&end(stage.start(1, &[])), 0, "succeeded: ");
    let record = stage.record().await;
    kill(pid_of(&sleeper), Signal::CONT);
    assert_end(&end(sleeper), 0, "superseded: the conversion is succeeded");
    assert_eq!(stage.record().await, record);
    assert_eq!(stage.mp3s(), [stage.id.mp3(2).to_string()]);
    assert!(stage.storage.pending(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancelled_conversion_ends_its_attempt_and_leaves_nothing() {
    let stage = Stage::with_long_video().await;
    let child = stage.at_work(1, &[]).await;
    let decoder = decoder_of(&child);
    stage.change(Change::Cancel).await;
    assert_end(&end(child), 0, "superseded: the conversion is cancelled");
    stage.assert_nothing_is_left().await;
    crate::program::until("the decoder is gone", || {
        (!crate::program::is_alive(decoder)).then_some(())
    });
}

#[tokio::test]
async fn an_attempt_that_was_taken_back_says_that_it_did_nothing() {
    let stage = Stage::with_long_video().await;
    let child = stage.at_work(1, &[]).await;
    stage.change(Change::Release { attempt: 1, cause: Cause::Disruption(String::new()) }).await;
    assert_end(&end(child), 75, "trouble: the attempt was taken back");
    stage.assert_nothing_is_left().await;
}

#[tokio::test]
async fn nobody_works_for_a_record_that_is_final_or_has_a_newer_attempt() {
    let stage = Stage::with(&second_of_sound()).await;
    stage.change(Change::Release { attempt: 1, cause: Cause::Disruption(String::new()) }).await;
    assert_end(&end(stage.start(1, &[])), 0, "superseded: the conversion is queued");
    stage.change(Change::Dispatch { attempt: 2 }).await;
    assert_end(&end(stage.start(1, &[])), 0, "superseded: another attempt has taken over");
    stage.change(Change::Cancel).await;
    assert_end(&end(stage.start(2, &[])), 0, "superseded: the conversion is already cancelled");
    stage.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_bad_video_is_committed_as_a_failure() {
    for (video, reason) in [
        (&b"plain text"[..], Reason::NotMedia),
        (&b""[..], Reason::EmptyFile),
        (&wav(1, 1, 1000)[..], Reason::OverLimits),
    ] {
        let stage = Stage::with(video).await;
        assert_end(&end(stage.start(1, &[])), 65, &format!("failed: {reason}: "));
        let record = stage.record().await;
        assert_eq!((record.state, record.failure.unwrap().reason), (State::Failed, reason));
        stage.assert_nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_cut_off_video_fails_unless_what_is_there_was_asked_for() {
    let video = &second_of_sound()[..100_000];
    let stage = Stage::with(video).await;
    assert_end(&end(stage.start(1, &[])), 65, "failed: truncated: ");
    assert_eq!(stage.record().await.failure.unwrap().reason, Reason::Truncated);
    stage.assert_nothing_is_left().await;
    let stage = Stage::asked(video, Options { allow_truncated: true, ..Options::default() }).await;
    let ended = end(stage.start(1, &[]));
    assert_end(&ended, 0, "succeeded: 0:00:01");
    assert!(ended.log.contains("the file is cut off"), "{ended:?}");
    assert_eq!(stage.record().await.mp3.unwrap().duration_ms, 520);
}

#[tokio::test]
async fn a_conversion_that_takes_too_long_fails_for_good() {
    let stage = Stage::with_long_video().await;
    assert_end(&end(stage.start(1, &[("RUN_LIMIT_SECONDS", "1")])), 66, "failed: deadline: ");
    assert_eq!(stage.record().await.failure.unwrap().reason, Reason::Deadline);
    stage.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_decoder_that_is_killed_leaves_the_record_to_the_next_attempt() {
    let stage = Stage::with_long_video().await;
    let child = stage.at_work(1, &[]).await;
    kill(decoder_of(&child), Signal::KILL);
    let ended = end(child);
    assert!(matches!(ended.code, Some(75 | 76)), "{ended:?}");
    assert_eq!(stage.record().await.state, State::Running);
    stage.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_signal_or_the_parents_end_stops_the_attempt_and_leaves_nothing() {
    let stage = Stage::with_long_video().await;
    let child = stage.at_work(1, &[]).await;
    kill(pid_of(&child), Signal::TERM);
    assert_end(&end(child), 75, "trouble: interrupted");
    stage.assert_nothing_is_left().await;

    stage.change(Change::Release { attempt: 1, cause: Cause::Disruption(String::new()) }).await;
    stage.change(Change::Dispatch { attempt: 2 }).await;
    let mut child = stage.at_work(2, &[("EXIT_WITH_STDIN", "true")]).await;
    drop(child.stdin.take());
    assert_end(&end(child), 75, "trouble: interrupted");
    stage.assert_nothing_is_left().await;
}

#[tokio::test]
async fn an_attempt_that_is_killed_loses_nothing() {
    let stage = Stage::with_long_video().await;
    let child = stage.at_work(1, &[]).await;
    kill(pid_of(&child), Signal::KILL);
    end(child);
    // What it left has a marker, by which the sweeper finds it.
    let left: Vec<_> = stage.storage.pending(9).await.unwrap();
    assert_eq!(left.iter().map(|pending| pending.kind).collect::<Vec<_>>(), [mp3_of(&stage, 1)]);
    stage.change(Change::Release { attempt: 1, cause: Cause::Disruption(String::new()) }).await;
    stage.change(Change::Dispatch { attempt: 2 }).await;
    assert_end(&end(stage.start(2, &[])), 0, "succeeded: 0:15:00");
    assert_eq!(stage.record().await.mp3.unwrap().id, stage.id.mp3(2));
}

fn mp3_of(stage: &Stage, claim: u32) -> PendingKind {
    PendingKind::Mp3 { mp3: stage.id.mp3(claim), conversion: stage.id, claim }
}

#[tokio::test]
async fn a_video_whose_bytes_are_gone_is_trouble() {
    let stage = Stage::with(&second_of_sound()).await;
    let videos = stage.folder.path("videos");
    remove_all(&videos);
    assert_end(&end(stage.start(1, &[])), 75, "trouble: ");
    assert_eq!(stage.record().await.state, State::Running);
    stage.assert_nothing_is_left().await;
}

fn remove_all(folder: &Path) {
    for name in names(folder) {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
}
