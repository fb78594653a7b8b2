//! The options of a conversion: said in an address or in JSON, kept, shown, and refused in words.

use crate::{http::Answer, stack::Stack};
use domain::Options;
use reqwest::Method;
use serde_json::{Value, json};

const SAID: &str = "preset=v0&bit_rate=160&channels=mono&sample_rate=22050&track=eng&start=1.5&end=9\
    &loudness=-16.5&true_peak=-2";

fn said() -> Value {
    json!({
        "preset": "v0", "bit_rate": 160, "channels": "mono", "sample_rate": 22050, "track": "eng",
        "start": 1.5, "end": 9, "loudness": -16.5, "true_peak": -2,
    })
}

/// Whether an answer shows the options that were said, and no other.
fn shows(shown: &Value) {
    for (name, value) in said().as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}: {shown}");
    }
    assert!(shown.get("quality").is_none(), "{shown}");
}

#[tokio::test]
async fn an_address_and_json_say_the_same() {
    let stack = Stack::start().await;
    let answer = stack.post("ada", &format!("/v1/videos?name=a.mp4&{SAID}"), "x").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    shows(&answer.json());
    let first = stack.conversion_of(&answer).await;
    let mut wish = said();
    wish["video"] = json!(first.video);
    let request = stack.ask("ada", Method::POST, "/v1/conversions").json(&wish);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let second = stack.conversion_of(&answer).await;
    assert_eq!(second.options, first.options);
    shows(&stack.get("ada", &format!("/v1/conversions/{}", second.id)).await.json());
    let plain = stack.conversion_of(&stack.post("ada", "/v1/videos", "x").await).await;
    assert_eq!(plain.options, Options::default());
}

#[tokio::test]
async fn a_batch_keeps_its_options() {
    let stack = Stack::start().await;
    let token = stack.signer.token_with("root", &json!({"role": "admin"}));
    let ask = async |wish: &Value| {
        let request = stack.request(Method::POST, "/v1/batches").bearer_auth(&token);
        Answer::of(request.json(wish)).await
    };
    let mut wish = said();
    wish["id"] = json!("speech");
    let answer = ask(&wish).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    shows(&answer.json());
    assert_eq!(ask(&wish).await.status, 200);
    wish["end"] = json!(8);
    ask(&wish).await.is_problem(409, "batch_exists");
    ask(&json!({"preset": "v0", "quality": 10})).await.is_problem(400, "bad_request");
    ask(&json!({"preset": "v0", "speed": 2})).await.is_problem(400, "bad_request");
}

#[tokio::test]
async fn what_will_not_do_is_refused_in_words() {
    let stack = Stack::start().await;
    let video = stack.upload("ada", "x").await.video;
    for (name, value, words) in [
        ("bit_rate", json!(100), "bit_rate is one of 32"),
        ("quality", json!(10), "quality is a number from 0"),
        ("channels", json!("5.1"), "channels is one of mono"),
        ("sample_rate", json!(96_000), "sample_rate is one of 8000"),
        ("track", json!("en"), "three letters"),
        ("start", json!(-1), "start and end are seconds"),
        ("end", json!(0), "end has to come after start"),
        ("loudness", json!(0), "loudness is a number of LUFS"),
        ("true_peak", json!(-1), "give loudness as well"),
        ("allow_truncated", json!("perhaps"), "true or false"),
    ] {
        let mut wish = json!({"video": video});
        wish[name] = value.clone();
        let request = stack.ask("ada", Method::POST, "/v1/conversions").json(&wish);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let upload = stack.post("ada", &format!("/v1/videos?{name}={text}"), "x").await;
        for answer in [Answer::of(request).await, upload] {
            answer.is_problem(400, "bad_request");
            assert!(answer.text().contains(words), "{name}: {answer:?}");
        }
    }
    let both = stack.post("ada", "/v1/videos?bit_rate=64&quality=2", "x").await;
    both.is_problem(400, "bad_request");
    assert!(both.text().contains("give one of the two"), "{both:?}");
    assert_eq!(stack.files("videos").len(), 1);
}

#[tokio::test]
async fn every_option_is_described_with_an_example() {
    let stack = Stack::start().await;
    let api: Value = Answer::of(stack.request(Method::GET, "/openapi.json")).await.json();
    let described = &api["components"]["schemas"]["Options"]["properties"];
    let parameters = api["paths"]["/v1/videos"]["post"]["parameters"].as_array().unwrap();
    for name in said().as_object().unwrap().keys() {
        assert!(described[name].is_object(), "{name}: {described}");
        let parameter = parameters.iter().find(|parameter| parameter["name"] == **name);
        let parameter = parameter.unwrap_or_else(|| panic!("{name}: {parameters:?}"));
        assert_eq!((&parameter["in"], &parameter["required"]), (&json!("query"), &json!(false)));
        assert_eq!(parameter["schema"], described[name]);
    }
    assert_eq!(described["start"]["example"], 12.5);
    assert_eq!(described["quality"]["maximum"], 9);
}
