//! What users may take, and how what they have goes again.

use crate::{
    http::{Answer, begun, rest},
    mp3::succeeded,
    stack::{Stack, until},
};
use domain::{Change, ConversionId, Failure, Reason, State};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Body, Method};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_deleted_video_takes_everything_with_it() {
    let stack = Stack::start().await;
    let (conversion, _) = succeeded(&stack).await;
    let kept = stack.upload("ada", "y").await;
    let again = json!({"video": conversion.video});
    let again = Answer::of(stack.ask("ada", Method::POST, "/v1/conversions").json(&again)).await;
    let path = format!("/v1/videos/{}", conversion.video);
    Answer::of(stack.ask("bob", Method::DELETE, &path)).await.is_problem(404, "not_found");
    let deleted = Answer::of(stack.ask("ada", Method::DELETE, &path)).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    Answer::of(stack.ask("ada", Method::DELETE, &path)).await.is_problem(404, "not_found");
    for id in [conversion.id, again.id()] {
        stack.get("ada", &format!("/v1/conversions/{id}")).await.is_problem(404, "not_found");
        let path = format!("/v1/conversions/{id}/mp3");
        stack.get("ada", &path).await.is_problem(404, "not_found");
    }
    stack.get("ada", &path).await.is_problem(404, "not_found");
    let list = stack.get("ada", "/v1/conversions").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["id"], json!(kept.id));
    assert_eq!((stack.files("videos").len(), stack.files("mp3s").len()), (1, 0));
}

#[tokio::test]
async fn what_failed_or_was_cancelled_is_tried_again_once_a_key() {
    let stack = Stack::start().await;
    let made = stack.upload("ada", "x").await;
    let path = format!("/v1/conversions/{}/retry", made.id);
    let retry = async |key: &'static str| {
        Answer::of(stack.ask("ada", Method::POST, &path).header("idempotency-key", key)).await
    };
    retry("1").await.is_problem(409, "not_retryable");
    stack.storage.change(made.id, &Change::Dispatch { attempt: 1 }).await.unwrap();
    stack.storage.change(made.id, &Change::Claim { attempt: 1 }).await.unwrap();
    let failure = Failure { reason: Reason::Truncated, detail: String::new() };
    stack.storage.change(made.id, &Change::Fail { claim: 1, failure }).await.unwrap();
    let first = retry("1").await;
    assert_eq!((first.status, first.json()["state"].as_str()), (202, Some("queued")));
    assert_eq!(retry("1").await.id(), first.id());
    assert_ne!(retry("2").await.id(), first.id());
    stack.post("bob", &path, "").await.is_problem(404, "not_found");
    stack.storage.remove_video(made.video).await.unwrap();
    stack.post("ada", &path, "").await.is_problem(410, "video_gone");
}

#[tokio::test]
async fn whoever_waits_hears_of_the_end_at_once() {
    let stack = Stack::start().await;
    let made = stack.upload("ada", "x").await;
    let path = format!("/v1/conversions/{}", made.id);
    let begun = Instant::now();
    let now = stack.get("ada", &path).await;
    let (wait, tag) = (format!("{path}?wait=30"), now.header("etag").to_owned());
    let news = stack.ask("ada", Method::GET, &wait).header("if-none-match", &tag);
    let end = stack.get("ada", &wait);
    let act = async {
        stack.storage.change(made.id, &Change::Dispatch { attempt: 1 }).await.unwrap();
        // The first of them hears of it before there is more.
        let news = Answer::of(news).await;
        assert_eq!((news.status, news.json()["state"].as_str()), (200, Some("running")));
        stack.storage.change(made.id, &Change::Cancel).await.unwrap();
    };
    let (end, ()) = tokio::join!(end, act);
    assert_eq!((end.status, end.json()["state"].as_str()), (200, Some("cancelled")));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Final: there is nothing to wait for.
    let known = end.header("etag").to_owned();
    assert_eq!(stack.get("ada", &wait).await.body, end.body);
    let same = stack.ask("ada", Method::GET, &format!("{path}?wait=1"));
    let same = Answer::of(same.header("if-none-match", &known)).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, known.as_str()));
    for bad in ["61", "-1", "x", "1.5", ""] {
        stack.get("ada", &format!("{path}?wait={bad}")).await.is_problem(400, "bad_request");
    }
    stack.get("bob", &wait).await.is_problem(404, "not_found");
}

#[tokio::test]
async fn whoever_waits_for_what_is_deleted_hears_that() {
    let stack = Stack::start().await;
    let made = stack.upload("ada", "x").await;
    let path = format!("/v1/conversions/{}?wait=30", made.id);
    let delete = stack.ask("ada", Method::DELETE, &format!("/v1/videos/{}", made.video));
    let (waited, deleted) = tokio::join!(stack.get("ada", &path), Answer::of(delete));
    assert_eq!(deleted.status, 204);
    // Deleting cancels first, so the end may be seen before the absence.
    assert!(waited.status == 404 || waited.json()["state"] == "cancelled", "{waited:?}");
}

#[tokio::test]
async fn nobody_is_kept_waiting_by_a_server_that_ends() {
    let stack = Stack::start().await;
    let made = stack.upload("ada", "x").await;
    let path = format!("/v1/conversions/{}?wait=60", made.id);
    let begun = Instant::now();
    let waiting = tokio::spawn(Answer::of(stack.ask("ada", Method::GET, &path)));
    until("somebody waits", async || stack.storage.changes().is_some()).await;
    stack.shutdown.cancel();
    // Where the request came too late there is no answer; where it came there is one.
    if let Ok(answer) = waiting.await {
        assert_eq!(answer.json()["state"], "queued");
    }
    stack.server.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_user_stores_more_than_their_share() {
    let stack = Stack::with(|http| http.max_user_bytes = Some(10), None).await;
    let post = async |user: &str, body: &'static str| stack.post(user, "/v1/videos", body).await;
    assert_eq!(post("ada", "12345678").await.status, 202);
    post("ada", "123").await.is_problem(403, "quota_exceeded");
    let chunks = futures::stream::iter(["1", "2", "3"].map(Ok::<_, std::io::Error>));
    let chunked = stack.post("ada", "/v1/videos", Body::wrap_stream(chunks)).await;
    chunked.is_problem(403, "quota_exceeded");
    assert_eq!(post("bob", "123").await.status, 202);
    assert_eq!(post("ada", "12").await.status, 202);
    stack.settles_at(3).await;
    let me = stack.get("ada", "/v1/me").await.json();
    assert_eq!(
        me,
        json!({"name": "ada", "role": "user", "bytes_stored": 10, "bytes_allowed": 10,
            "waiting": 2, "waiting_allowed": null})
    );
}

#[tokio::test]
async fn uploads_in_flight_count() {
    let adjust = |http: &mut gateway::HttpConfig| {
        (http.max_user_bytes, http.max_user_waiting) = (Some(10), Some(2));
    };
    let stack = Stack::with(adjust, None).await;
    let token = stack.signer.token("ada");
    let head = format!(
        "POST /v1/videos HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: 6\r\n\r\nab"
    );
    let mut first = begun(stack.address, &head).await;
    until("the upload has begun", async || stack.files("videos").len() == 1).await;
    stack.post("ada", "/v1/videos", "12345").await.is_problem(403, "quota_exceeded");
    assert_eq!(stack.post("ada", "/v1/videos", "1234").await.status, 202);
    let busy = stack.post("ada", "/v1/videos", "").await;
    busy.is_problem(429, "too_many_waiting");
    assert_eq!(busy.header("retry-after"), "30");
    first.write_all(b"cdef").await.unwrap();
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 202"));
    let list = stack.get("ada", "/v1/conversions").await.json();
    let id: ConversionId = list["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let video = stack.storage.conversion(id).await.unwrap().video;
    let again = stack.ask("ada", Method::POST, "/v1/conversions").json(&json!({"video": video}));
    Answer::of(again).await.is_problem(429, "too_many_waiting");
    stack.storage.change(id, &Change::Cancel).await.unwrap();
    let again = stack.ask("ada", Method::POST, "/v1/conversions").json(&json!({"video": video}));
    assert_eq!(Answer::of(again).await.status, 202);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_in() {
    let stack = Stack::with(|http| http.min_free_bytes = u64::MAX / 2, None).await;
    let full = stack.post("ada", "/v1/videos", "x").await;
    full.is_problem(507, "storage_full");
    assert_eq!(full.header("retry-after"), "60");
    stack.settles_at(0).await;
}

#[tokio::test]
async fn the_date_is_known_before_anything_goes() {
    let adjust = |http: &mut gateway::HttpConfig| {
        http.video_retention = Some(SignedDuration::from_hours(2));
        http.mp3_retention = Some(SignedDuration::ZERO);
    };
    let stack = Stack::with(adjust, None).await;
    let (conversion, _) = succeeded(&stack).await;
    let video = stack.get("ada", &format!("/v1/videos/{}", conversion.video)).await.json();
    let time = |value: &serde_json::Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(
        time(&video["expires_at"]).duration_since(time(&video["created_at"])),
        SignedDuration::from_hours(2)
    );
    let path = format!("/v1/conversions/{}", conversion.id);
    let shown = stack.get("ada", &path).await.json();
    assert_eq!(shown["mp3"]["expires_at"], shown["finished_at"]);
    stack.get("ada", &format!("{path}/mp3")).await.is_problem(410, "mp3_expired");
    assert_eq!(stack.storage.conversion(conversion.id).await.unwrap().state, State::Succeeded);
}

#[tokio::test]
async fn lists_keep_to_times_and_videos() {
    let stack = Stack::start().await;
    let first = stack.upload("ada", "x").await;
    let after = Timestamp::now() + SignedDuration::from_millis(1);
    until("time has passed", async || Timestamp::now() > after).await;
    let second = stack.upload("ada", "y").await;
    let ids = async |query: String| {
        let list = stack.get("ada", &format!("/v1/conversions?{query}")).await.json();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (one, two) = (first.id.to_string(), second.id.to_string());
    assert_eq!(ids(format!("until={after}")).await, std::slice::from_ref(&one));
    assert_eq!(ids(format!("since={after}")).await, std::slice::from_ref(&two));
    assert_eq!(ids(format!("video={}", first.video)).await, [one]);
    assert_eq!(ids(format!("cursor={two}&since={after}")).await, Vec::<String>::new());
    for bad in ["since=now", "until=1", "video=x", "state=queued&video=0"] {
        stack.get("ada", &format!("/v1/conversions?{bad}")).await.is_problem(400, "bad_request");
    }
}
