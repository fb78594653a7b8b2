//! One client's connection, from its first byte to its end, and the frame around every answer:
//! its id, its line in the log, the headers that all have.

use crate::{context::Context, cors, patience::Patient, routes};
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, X_CONTENT_TYPE_OPTIONS},
};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;
use warp::{filters::BoxedFilter, reply::Response};

/// Longest wait for a request's head, and so for the next request of a connection. Proxies keep
/// idle connections about as long; much less and they would send requests into closing ones.
const HEAD: Duration = Duration::from_secs(30);

/// Longest time in which a client takes none of an answer.
const STALL: Duration = Duration::from_secs(30);

/// Longest head of a request, in bytes; a token takes at most 4 KiB of it.
const LONGEST_HEAD: usize = 64 * 1024;

/// The name of the header with a request's id.
const REQUEST_ID: &str = "x-request-id";

/// Serves `peer` until the client is gone, or until `shutdown` and the end of the request in hand, or until
/// `kill`.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    context: Arc<Context>,
    routes: BoxedFilter<(Response,)>,
    shutdown: CancellationToken,
    kill: CancellationToken,
) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(move |request| respond(context.clone(), peer, routes.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(LONGEST_HEAD);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Patient::new(stream, STALL)), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = &mut connection => ended,
                () = kill.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection broke off");
    }
}

async fn respond(
    context: Arc<Context>,
    peer: IpAddr,
    routes: BoxedFilter<(Response,)>,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let began = Instant::now();
    let origins = &context.http.cors_origins;
    let origin = origins.allowed(request.headers());
    let client = context.http.trusted_proxies.client(peer, request.headers());
    request.extensions_mut().insert(client);
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let has_body = !request.body().is_end_stream();
    let span = tracing::info_span!("request", request.id = id.to_str().unwrap_or_default());
    let mut response = if origin.is_some() && cors::is_preflight(&request) {
        cors::preflight()
    } else {
        let routed = TowerToHyperService::new(warp::service(routes));
        hyper::service::Service::call(&routed, request).instrument(span.clone()).await?
    };
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    origins.mark(origin, headers);
    if has_body && !status.is_success() {
        // The rest of the body is not waited for, so no other request can follow it.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static(routes::methods(&path)));
    }
    let took = began.elapsed();
    routes::count::request(&method, &path, status, took);
    let took = took.as_millis();
    // Probes come every few seconds and say nothing.
    if path != "/healthz" {
        let _request = span.enter();
        tracing::info!(
            http.status = status.as_u16(),
            http.took_ms = took,
            "{method} {path} was answered"
        );
    }
    Ok(response)
}

/// The client's own id for the request if it is a harmless one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    match headers.get(REQUEST_ID) {
        Some(id) if (1..=64).contains(&id.len()) && id.as_bytes().iter().all(harmless) => {
            id.clone()
        }
        _ => HeaderValue::try_from(Uuid::now_v7().to_string())
            .unwrap_or(HeaderValue::from_static("none")),
    }
}
