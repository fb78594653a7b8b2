//! Records: whose they are, lists, further conversions, cancelling, and wrong addresses.

use crate::{http::Answer, stack::Stack};
use domain::{Capacity, Cause, Change, ConversionId, State};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_belongs_to_somebody_else_does_not_exist() {
    let stack = Stack::start().await;
    let theirs = stack.upload("ada", "x").await;
    let none = ConversionId::generate();
    for (method, path) in [
        (Method::GET, "/v1/conversions/ID"),
        (Method::POST, "/v1/conversions/ID/cancel"),
        (Method::GET, "/v1/conversions/ID/mp3"),
        (Method::GET, "/v1/videos/VIDEO"),
    ] {
        let ask = async |id: &str, video: &str| {
            let path = path.replace("ID", id).replace("VIDEO", video);
            let answer = Answer::of(stack.ask("bob", method.clone(), &path)).await;
            answer.is_problem(404, "not_found");
            answer.body
        };
        let foreign = ask(&theirs.id.to_string(), &theirs.video.to_string()).await;
        assert_eq!(foreign, ask(&none.to_string(), &none.to_string()).await, "{path}");
        assert_eq!(foreign, ask("1%00", "..%2f").await, "{path}");
    }
    let request =
        stack.ask("bob", Method::POST, "/v1/conversions").json(&json!({"video": theirs.video}));
    Answer::of(request).await.is_problem(404, "not_found");
    for list in ["/v1/videos", "/v1/conversions"] {
        assert_eq!(stack.get("bob", list).await.json(), json!({"items": [], "next": null}));
    }
    assert_eq!(stack.storage.conversion(theirs.id).await.unwrap().state, State::Queued);
}

#[tokio::test]
async fn an_administrator_sees_what_happened_to_anybodys_conversion() {
    let stack = Stack::start().await;
    let id = stack.upload("ada", "x").await.id;
    let cause = Cause::Trouble("exit code 75: trouble: the disk".to_owned());
    for change in [Change::Dispatch { attempt: 1 }, Change::Release { attempt: 1, cause }] {
        stack.storage.change(id, &change).await.unwrap();
    }
    let path = format!("/v1/conversions/{id}");
    let token = stack.signer.token_with("root", &json!({"role": "admin"}));
    let asked = stack.request(Method::GET, &path).bearer_auth(token);
    let details = &Answer::of(asked).await.json()["details"];
    assert_eq!(details["owner"], "ada");
    let setback = &details["setbacks"][0];
    assert_eq!((&setback["attempt"], &setback["cause"]), (&json!(1), &json!("trouble")));
    assert_eq!(setback["detail"], "exit code 75: trouble: the disk");
    assert_eq!(stack.get("ada", &path).await.json().get("details"), None);
}

#[tokio::test]
async fn who_waits_is_told_their_turn() {
    let stack = Stack::start().await;
    let mut turns = Vec::new();
    for (owner, position) in [("ada", 1), ("ada", 3), ("bob", 2)] {
        turns.push((owner, stack.upload(owner, "x").await.id, position));
    }
    let turn = async |owner: &str, id| {
        let answer = stack.get(owner, &format!("/v1/conversions/{id}")).await;
        (answer.json()["turn"].clone(), answer.header("etag").to_owned())
    };
    let mut tags = Vec::new();
    for (owner, id, position) in &turns {
        let (turn, tag) = turn(owner, *id).await;
        assert_eq!(turn, json!({"position": position, "finish_expected_at": null}), "{owner}");
        tags.push(tag);
    }
    // One slot, and ten seconds for each.
    let mut capacity = Capacity { slots: 1, per_user: 1, ..Capacity::default() };
    capacity.speed.learn(1, SignedDuration::from_secs(10));
    stack.storage.set_capacity(&capacity).await.unwrap();
    let first = turns[0].1;
    stack.storage.change(first, &Change::Dispatch { attempt: 1 }).await.unwrap();
    assert_eq!(turn("ada", first).await.0, Value::Null);
    // What was summed up is good for two seconds.
    let later = Instant::now() + Duration::from_secs(20);
    loop {
        let (turn, tag) = turn("bob", turns[2].1).await;
        // Its turn is no news.
        assert_eq!(tag, tags[2]);
        if let Some(at) = turn["finish_expected_at"].as_str() {
            let left = at.parse::<Timestamp>().unwrap().duration_since(Timestamp::now());
            assert!((10..=21).contains(&left.as_secs()), "{left:?}");
            assert_eq!(turn["position"], 1);
            return;
        }
        assert!(Instant::now() < later);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let stack = Stack::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(stack.upload("ada", "x").await);
    }
    stack.upload("bob", "x").await;
    made.reverse();
    let conversions: Vec<_> = made.iter().map(|made| made.id.to_string()).collect();
    let videos: Vec<_> = made.iter().map(|made| made.video.to_string()).collect();
    for (list, ids) in [("/v1/conversions", conversions), ("/v1/videos", videos)] {
        let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = stack.get("ada", &format!("{list}?limit=2{cursor}")).await.json();
            let items = page["items"].as_array().unwrap();
            sizes.push(items.len());
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen, sizes), (ids, vec![2, 2, 1]), "{list}");
        stack.get("ada", &format!("{list}?limit=0")).await.is_problem(400, "bad_request");
        stack.get("ada", &format!("{list}?cursor=x")).await.is_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_list_shows_one_state() {
    let stack = Stack::start().await;
    let (running, queued) = (stack.upload("ada", "x").await, stack.upload("ada", "y").await);
    stack.storage.change(running.id, &Change::Dispatch { attempt: 1 }).await.unwrap();
    for (state, ids) in
        [("running", vec![running.id]), ("queued", vec![queued.id]), ("failed", vec![])]
    {
        let list = stack.get("ada", &format!("/v1/conversions?state={state}")).await.json();
        let shown: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(shown, ids.iter().map(|id| json!(id)).collect::<Vec<Value>>(), "{state}");
    }
    stack.get("ada", "/v1/conversions?state=lost").await.is_problem(400, "bad_request");
}

#[tokio::test]
async fn a_video_is_converted_again_with_other_options() {
    let stack = Stack::start().await;
    let video = stack.upload("ada", "x").await.video;
    let ask =
        |body: Value| Answer::of(stack.ask("ada", Method::POST, "/v1/conversions").json(&body));
    let answer = ask(json!({"video": video, "preset": "320"})).await;
    assert_eq!((answer.status, answer.json()["preset"].as_str()), (202, Some("320")));
    assert!(stack.conversion_of(&answer).await.announced);
    ask(json!({"video": video, "preset": "best"})).await.is_problem(400, "bad_request");
    ask(json!({"video": video, "speed": 2})).await.is_problem(400, "bad_request");
    ask(json!([])).await.is_problem(400, "bad_request");
    stack.post("ada", "/v1/conversions", "{}").await.is_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_conversion_is_cancelled_once_and_for_all() {
    let stack = Stack::start().await;
    let made = stack.upload("ada", "x").await;
    let path = format!("/v1/conversions/{}/cancel", made.id);
    for _ in 0..2 {
        let answer = stack.post("ada", &path, "").await;
        assert_eq!((answer.status, answer.json()["state"].as_str()), (200, Some("cancelled")));
    }
    let shown = stack.get("ada", &format!("/v1/conversions/{}", made.id)).await.json();
    assert!(
        shown["finished_at"].is_string() && shown["mp3"].is_null() && shown["error"].is_null(),
        "{shown}"
    );
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_problems() {
    let stack = Stack::start().await;
    for path in ["/", "/v1", "/v1/videos/x/y", "/v2/videos", "/login/x", "/%ff"] {
        stack.get("ada", path).await.is_problem(404, "not_found");
    }
    for (method, path) in
        [(Method::GET, "/login"), (Method::DELETE, "/v1/videos"), (Method::PUT, "/upload")]
    {
        let answer = Answer::of(stack.ask("ada", method, path)).await;
        answer.is_problem(405, "method_not_allowed");
        assert!(answer.header("allow").contains("POST"), "{answer:?}");
    }
    assert_eq!(stack.get("ada", "/healthz").await.text(), "ok");
}

#[tokio::test]
async fn an_answer_carries_the_id_of_its_request() {
    let stack = Stack::start().await;
    let ask = |id: &'static str| {
        Answer::of(stack.request(Method::GET, "/healthz").header("x-request-id", id))
    };
    assert_eq!(ask("abc-1").await.header("x-request-id"), "abc-1");
    assert_ne!(ask("a b\"").await.header("x-request-id"), "a b\"");
    let own = stack.get("ada", "/healthz").await;
    assert!(own.header("x-request-id").parse::<uuid::Uuid>().is_ok());
}
