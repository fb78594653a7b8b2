//! What is stored beside an MP3 is its owner's to see, for as long as the MP3.

use crate::{
    http::Answer,
    mp3::{running, succeeded, succeeded_with},
    stack::Stack,
};
use domain::{Change, Failure, PendingKind, Reason, Waveform};
use jiff::SignedDuration;
use reqwest::Method;
use storage::Beside;

const KINDS: [&str; 2] = ["report", "waveform"];

fn beside() -> Beside {
    let waveform = Waveform::new(48_000, 256, vec![-3, 4]);
    Beside {
        report: r#"{"container":"wav","warnings":["ü"]}"#.to_owned(),
        waveform: Some(serde_json::to_string(&waveform).unwrap()),
    }
}

#[tokio::test]
async fn the_owner_gets_both_as_they_are_stored() {
    let stack = Stack::start().await;
    let beside = beside();
    let (conversion, _) = succeeded_with(&stack, Some(&beside)).await;
    let shown = stack.get("ada", &format!("/v1/conversions/{}", conversion.id)).await.json();
    for (kind, text) in KINDS.into_iter().zip([beside.report, beside.waveform.unwrap()]) {
        let path = format!("/v1/conversions/{}/{kind}", conversion.id);
        assert_eq!(shown["mp3"][format!("{kind}_url")], path);
        let answer = stack.get("ada", &path).await;
        assert_eq!((answer.status, answer.text()), (200, text.as_str()));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        let tag = answer.header("etag").to_owned();
        let ask = |tag: &str| stack.ask("ada", Method::GET, &path).header("if-none-match", tag);
        let known = Answer::of(ask(&tag)).await;
        assert_eq!((known.status, known.text(), known.header("etag")), (304, "", tag.as_str()));
        assert_eq!(Answer::of(ask("\"0000\"")).await.status, 200);
        stack.get("bob", &path).await.is_problem(404, "not_found");
        Answer::of(stack.request(Method::GET, &path)).await.is_problem(401, "unauthorized");
        let wrong = stack.post("ada", &path, "").await;
        wrong.is_problem(405, "method_not_allowed");
        assert_eq!(wrong.header("allow"), "GET");
    }
    let tag = |kind| format!("/v1/conversions/{}/{kind}", conversion.id);
    let [one, other] =
        [stack.get("ada", &tag(KINDS[0])).await, stack.get("ada", &tag(KINDS[1])).await];
    assert_ne!(one.header("etag"), other.header("etag"));
}

#[tokio::test]
async fn what_is_not_there_is_explained() {
    let stack = Stack::start().await;
    let made = running(&stack).await;
    let ask =
        async |kind: &str| stack.get("ada", &format!("/v1/conversions/{}/{kind}", made.id)).await;
    for kind in KINDS {
        ask(kind).await.is_problem(409, "not_ready");
    }
    let failure = Failure { reason: Reason::NoAudioTrack, detail: String::new() };
    stack.storage.change(made.id, &Change::Fail { claim: made.claim, failure }).await.unwrap();
    for kind in KINDS {
        let answer = ask(kind).await;
        answer.is_problem(409, "conversion_failed");
        assert!(answer.text().contains(Reason::NoAudioTrack.sentence()), "{answer:?}");
    }
    let nobody = format!("/v1/conversions/{}/report", uuid::Uuid::nil());
    stack.get("ada", &nobody).await.is_problem(404, "not_found");
}

#[tokio::test]
async fn an_mp3_of_an_earlier_version_has_neither_and_one_that_was_not_decoded_no_waveform() {
    let stack = Stack::start().await;
    let (old, _) = succeeded(&stack).await;
    let copied = Beside { waveform: None, ..beside() };
    let (copied, _) = succeeded_with(&stack, Some(&copied)).await;
    for (id, kind) in [(old.id, "report"), (old.id, "waveform"), (copied.id, "waveform")] {
        let answer = stack.get("ada", &format!("/v1/conversions/{id}/{kind}")).await;
        answer.is_problem(404, "not_found");
        assert!(answer.text().contains("beside the MP3"), "{answer:?}");
    }
    let report = stack.get("ada", &format!("/v1/conversions/{}/report", copied.id)).await;
    assert_eq!(report.status, 200);
}

#[tokio::test]
async fn they_end_with_the_mp3() {
    let stack = Stack::with(|http| http.mp3_retention = Some(SignedDuration::ZERO), None).await;
    let (conversion, mp3) = succeeded_with(&stack, Some(&beside())).await;
    for kind in KINDS {
        let path = format!("/v1/conversions/{}/{kind}", conversion.id);
        stack.get("ada", &path).await.is_problem(410, "mp3_expired");
    }
    let file = PendingKind::Mp3 { mp3: mp3.id, conversion: conversion.id, claim: conversion.claim };
    stack.storage.delete(file).await.unwrap();
    assert!(stack.files("mp3s").is_empty());
}
