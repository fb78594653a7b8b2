//! MP3s go out whole, in part, or not at all.

use crate::{http::Answer, stack::Stack};
use domain::{Change, Conversion, Failure, Loudness, Mp3, PendingKind, Reason};
use reqwest::Method;
use serde_json::json;
use storage::Beside;

/// More than one step of the stream.
const LENGTH: usize = 3_000_000;

fn sound() -> Vec<u8> {
    (0..LENGTH).map(|n| (n % 251) as u8).collect()
}

/// A conversion at work, with its first claim.
pub(crate) async fn running(stack: &Stack) -> Conversion {
    let id = stack.upload("ada", "x").await.id;
    stack.storage.change(id, &Change::Dispatch { attempt: 1 }).await.unwrap();
    stack.storage.change(id, &Change::Claim { attempt: 1 }).await.unwrap()
}

/// What the converter of an earlier version did.
pub(crate) async fn succeeded(stack: &Stack) -> (Conversion, Mp3) {
    succeeded_with(stack, None).await
}

/// What the converter does.
pub(crate) async fn succeeded_with(stack: &Stack, beside: Option<&Beside>) -> (Conversion, Mp3) {
    let made = running(stack).await;
    let mp3 = made.id.mp3(made.claim);
    let file = PendingKind::Mp3 { mp3, conversion: made.id, claim: made.claim };
    let mut writer = stack.storage.create(file).await.unwrap();
    writer.append(sound().into()).await.unwrap();
    let blob = match beside {
        Some(beside) => writer.finish_with(beside).await.unwrap(),
        None => writer.finish().await.unwrap(),
    };
    let level = |level: f64| level.try_into().unwrap();
    let loudness = Some(Loudness {
        integrated_lufs: level(-23.4),
        true_peak_dbtp: level(-5.25),
        gain_db: level(4.0),
    });
    let (length, sha256) = (blob.length, blob.sha256);
    let mp3 = Mp3 { id: mp3, length, sha256, duration_ms: 1, loudness };
    let change = Change::Succeed { claim: made.claim, mp3: mp3.clone() };
    (stack.storage.change(made.id, &change).await.unwrap(), mp3)
}

fn path(conversion: &Conversion) -> String {
    format!("/v1/conversions/{}/mp3", conversion.id)
}

#[tokio::test]
async fn an_mp3_comes_whole_by_both_addresses() {
    let stack = Stack::start().await;
    let (conversion, mp3) = succeeded(&stack).await;
    let shown = stack.get("ada", &format!("/v1/conversions/{}", conversion.id)).await.json();
    assert_eq!(shown["mp3"]["url"], path(&conversion));
    assert_eq!(shown["mp3"]["sha256"], mp3.sha256.to_string());
    let loudness = json!({"integrated_lufs": -23.4, "true_peak_dbtp": -5.25, "gain_db": 4});
    assert_eq!(shown["mp3"]["loudness"], loudness);
    for path in [path(&conversion), format!("/download?fid={}", mp3.id)] {
        let answer = stack.get("ada", &path).await;
        assert_eq!((answer.status, answer.body == sound()), (200, true), "{path}");
        assert_eq!(answer.header("content-type"), "audio/mpeg");
        assert_eq!(answer.header("content-length"), LENGTH.to_string());
        assert_eq!(answer.header("etag"), format!("\"{}\"", mp3.sha256));
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"film.mp3\"; filename*=UTF-8''film.mp3"
        );
        stack.get("bob", &path).await.is_problem(404, "not_found");
        let head = Answer::of(stack.ask("ada", Method::HEAD, &path)).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, LENGTH.to_string().as_str())
        );
    }
    stack.get("ada", "/download").await.is_problem(400, "bad_request");
    stack.get("ada", "/download?fid=507f1f77bcf86cd799439011").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn a_part_of_an_mp3_can_be_had() {
    let stack = Stack::start().await;
    let (conversion, mp3) = succeeded(&stack).await;
    let ask = |name: &'static str, value: String| {
        Answer::of(stack.ask("ada", Method::GET, &path(&conversion)).header(name, value))
    };
    let part = ask("range", "bytes=2000000-".into()).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 2000000-2999999/3000000"));
    assert_eq!(part.header("content-length"), "1000000");
    assert!(part.body == sound()[2_000_000..]);
    let past = ask("range", "bytes=3000000-".into()).await;
    past.is_problem(416, "range_not_satisfiable");
    assert_eq!(past.header("content-range"), "bytes */3000000");
    let known = ask("if-none-match", format!("\"{}\"", mp3.sha256)).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn an_mp3_that_is_not_there_is_explained() {
    let stack = Stack::start().await;
    let made = running(&stack).await;
    stack.get("ada", &path(&made)).await.is_problem(409, "not_ready");
    let failure = Failure { reason: Reason::NoAudioTrack, detail: "secret".into() };
    let failed =
        stack.storage.change(made.id, &Change::Fail { claim: made.claim, failure }).await.unwrap();
    let answer = stack.get("ada", &path(&failed)).await;
    answer.is_problem(409, "conversion_failed");
    assert!(
        answer.text().contains(Reason::NoAudioTrack.sentence())
            && !answer.text().contains("secret")
    );
    let shown = stack.get("ada", &format!("/v1/conversions/{}", made.id)).await;
    assert_eq!(shown.json()["error"]["code"], "no_audio_track");
    assert!(!shown.text().contains("secret"));
    let cancel = stack.post("ada", &format!("/v1/conversions/{}/cancel", made.id), "").await;
    cancel.is_problem(409, "already_final");
}

#[tokio::test]
async fn a_damaged_mp3_never_arrives_whole() {
    let stack = Stack::start().await;
    let (conversion, _) = succeeded(&stack).await;
    let file = stack.files("mp3s").pop().unwrap();
    let mut bytes = sound();
    bytes[1_500_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let response = stack.ask("ada", Method::GET, &path(&conversion)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    bytes.truncate(1_000_000);
    std::fs::write(&file, &bytes).unwrap();
    let answer = stack.get("ada", &path(&conversion)).await;
    answer.is_problem(500, "internal");
    assert!(!answer.text().contains(conversion.id.to_string().as_str()), "{answer:?}");
    std::fs::remove_file(&file).unwrap();
    stack.get("ada", &path(&conversion)).await.is_problem(500, "internal");
}
