//! Counts requests by their route, in which no id stands: each id would be a metric of its own.

use http::{Method, StatusCode};
use std::time::Duration;

/// Every route with its parameters' names, as the description has them.
const ROUTES: &[&str] = &[
    "/login",
    "/upload",
    "/download",
    "/healthz",
    "/docs",
    "/openapi.json",
    "/v1/me",
    "/v1/videos",
    "/v1/videos/{id}",
    "/v1/conversions",
    "/v1/conversions/{id}",
    "/v1/conversions/{id}/cancel",
    "/v1/conversions/{id}/retry",
    "/v1/conversions/{id}/mp3",
    "/v1/conversions/{id}/report",
    "/v1/conversions/{id}/waveform",
    "/v1/users",
    "/v1/users/{name}",
    "/v1/users/{name}/password",
    "/v1/tokens",
    "/v1/tokens/{id}",
    "/v1/keys",
    "/v1/dead-letters",
    "/v1/dead-letters/{id}",
    "/v1/dead-letters/{id}/replay",
    "/v1/batches",
    "/v1/batches/estimate",
    "/v1/batches/{id}",
    "/v1/batches/{id}/{change}",
    "/v1/dispatching",
    "/v1/dispatching/{change}",
];

/// Notes a request that has been answered.
pub(crate) fn request(method: &Method, path: &str, status: StatusCode, took: Duration) {
    let route = route(path);
    let labels = [("method", method_of(method)), ("route", route), ("status", class(status))];
    metrics::counter!("audio_converter_http_requests_total", &labels).increment(1);
    metrics::histogram!("audio_converter_http_request_seconds", "route" => route)
        .record(took.as_secs_f64());
}

/// The route of a path; `other` for what is none of ours.
fn route(path: &str) -> &'static str {
    let same = |route: &&&str| {
        let mut of_path = path.trim_end_matches('/').split('/');
        let matches = route.split('/').all(|known| match of_path.next() {
            Some(segment) => known.starts_with('{') || known == segment,
            None => false,
        });
        matches && of_path.next().is_none()
    };
    // What lies below the page of the docs is many small files.
    if path.starts_with("/docs/") {
        return "/docs";
    }
    ROUTES.iter().find(same).copied().unwrap_or("other")
}

/// A client may invent methods, and each would be a metric.
fn method_of(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_not_in_routes() {
        assert_eq!(route("/v1/conversions/01a2/mp3"), "/v1/conversions/{id}/mp3");
        assert_eq!(route("/v1/conversions"), "/v1/conversions");
        assert_eq!(route("/v1/conversions/a/b/c"), "other");
        assert_eq!(route("/.env"), "other");
        assert_eq!(route("/docs/swagger-ui.css"), "/docs");
    }

    #[test]
    fn every_path_that_is_described_has_its_route() {
        let description: serde_json::Value =
            serde_json::from_str(super::super::openapi::description().unwrap()).unwrap();
        let paths = description["paths"].as_object().unwrap().keys();
        let unknown: Vec<_> = paths.filter(|path| !ROUTES.contains(&path.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
