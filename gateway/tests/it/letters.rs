//! Dead letters over HTTP: for admins alone, and each settled once.

use crate::{http::Answer, stack::Stack};
use domain::ConversionId;
use queue::{ControlMessage, Item, Message, Topic};
use reqwest::Method;
use serde_json::json;

async fn ask(stack: &Stack, method: Method, path: &str) -> Answer {
    let token = stack.signer.token_with("root", &json!({"role": "admin"}));
    Answer::of(stack.request(method, path).bearer_auth(token)).await
}

/// Puts a message aside that names a conversion nobody knows.
async fn bury(stack: &Stack) -> Message {
    let (conversion, trace) = (ConversionId::generate(), Some(domain::TraceParent::generate()));
    let message = Message::Control(ControlMessage { conversion: Some(conversion), trace });
    stack.queue.publish(&message).await.unwrap();
    let mut consumer = stack.queue.consume(Topic::Control).await.unwrap();
    loop {
        if let Item::Delivery(delivery) = consumer.next().await {
            delivery.reject("the conversion is unknown").await.unwrap();
            return message;
        }
    }
}

#[tokio::test]
async fn admins_list_replay_and_drop_dead_letters() {
    let stack = Stack::start().await;
    let empty = ask(&stack, Method::GET, "/v1/dead-letters").await;
    assert_eq!(empty.json(), json!({"items": [], "next": null}));
    let message = bury(&stack).await;
    let list = ask(&stack, Method::GET, "/v1/dead-letters").await.json();
    let letter = &list["items"][0];
    assert_eq!((&letter["topic"], &letter["deliveries"]), (&json!("control"), &json!(1)));
    assert_eq!(letter["reason"], "the conversion is unknown");
    assert_eq!(letter["traceparent"], message.trace().unwrap().as_str());
    assert_eq!(letter["body"], message.to_json().unwrap());
    let one = format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap());
    let replayed = ask(&stack, Method::POST, &format!("{one}/replay")).await;
    assert_eq!((replayed.status, replayed.text()), (204, ""));
    ask(&stack, Method::POST, &format!("{one}/replay")).await.is_problem(404, "not_found");
    ask(&stack, Method::DELETE, &one).await.is_problem(404, "not_found");
    bury(&stack).await;
    let list = ask(&stack, Method::GET, "/v1/dead-letters?limit=1").await.json();
    let one = format!("/v1/dead-letters/{}", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(ask(&stack, Method::DELETE, &one).await.status, 204);
    ask(&stack, Method::GET, "/v1/dead-letters?limit=0").await.is_problem(400, "bad_request");
}

#[tokio::test]
async fn others_neither_see_nor_settle_them() {
    let stack = Stack::start().await;
    bury(&stack).await;
    let list = ask(&stack, Method::GET, "/v1/dead-letters").await.json();
    let one = format!("/v1/dead-letters/{}", list["items"][0]["id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, "/v1/dead-letters".to_owned()),
        (Method::POST, format!("{one}/replay")),
        (Method::DELETE, one),
    ] {
        Answer::of(stack.ask("ada", method, &path)).await.is_problem(403, "forbidden");
    }
    assert_eq!(ask(&stack, Method::GET, "/v1/dead-letters").await.json(), list);
}
