//! The description of the API says what there is, and it can be read without a network.

use crate::{http::Answer, stack::Stack};
use reqwest::Method;
use serde_json::Value;

async fn description(stack: &Stack) -> Value {
    let answer = Answer::of(stack.request(Method::GET, "/openapi.json")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

#[tokio::test]
async fn every_described_operation_exists_and_wants_to_know_who_asks() {
    let stack = Stack::start().await;
    let api = description(&stack).await;
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{}", api["openapi"]);
    let mut operations = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let filled =
                path.replace("{id}", &uuid::Uuid::nil().to_string()).replace("{name}", "x");
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = Answer::of(stack.request(method.clone(), &filled)).await;
            // What is handed on is auth's to refuse.
            let handed_on = ["/v1/users", "/v1/tokens", "/v1/keys"];
            let handed_on = handed_on.iter().any(|start| path.starts_with(start));
            assert!(answer.status == 401 || handed_on, "{method} {path}: {answer:?}");
            assert!(answer.status != 404 && answer.status != 405, "{method} {path}: {answer:?}");
            let answers = operation["responses"].as_object().unwrap();
            let problem = &answers["default"]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{path}");
        }
    }
    assert!(operations >= 20, "{operations}");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let stack = Stack::start().await;
    let api = description(&stack).await;
    let text = api.to_string();
    let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).collect();
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.split('"').next().unwrap();
        assert!(api.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let stack = Stack::start().await;
    let page = Answer::of(stack.request(Method::GET, "/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html"), "redirected");
    let names = page.text().split("\"").filter(|word| word.starts_with("./"));
    let mut files = 0;
    for name in names {
        files += 1;
        let file = Answer::of(stack.request(Method::GET, &format!("/docs/{}", &name[2..]))).await;
        assert_eq!(file.status, 200, "{name}");
        assert!(file.header("content-security-policy").contains("default-src 'self'"));
    }
    assert!(files >= 4, "{}", page.text());
    let setup = Answer::of(stack.request(Method::GET, "/docs/swagger-initializer.js")).await;
    assert!(setup.text().contains("/openapi.json") && !setup.text().contains("https://"));
    stack.get("ada", "/docs/../../etc/passwd").await.is_problem(404, "not_found");
    stack.get("ada", "/docs/none.js").await.is_problem(404, "not_found");
}
