//! What clients of the original system use: `POST /upload` and `GET /download?fid=`. Its `/login`
//! is ours.

use super::{answer, head, mp3, unread, videos};
use crate::{
    body::Body,
    context::{Context, parse},
    error::Error,
    upload,
    view::location,
};
use http::{HeaderMap, HeaderValue, header::LOCATION};
use serde::Deserialize;
use std::sync::Arc;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

#[derive(Debug, Deserialize)]
struct Download {
    fid: Option<String>,
}

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let upload = warp::path!("upload").and(warp::post()).and(head(context));
    let upload = upload.and(unread()).then(post_upload).map(answer);
    let download =
        warp::path!("download").and(warp::get().or(warp::head()).unify()).and(head(context));
    let download = download.and(warp::query()).then(get_download).map(answer);
    upload.or(download).unify().boxed()
}

async fn post_upload(
    context: Arc<Context>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let upload = videos::parse(&context, &headers, "").await?;
    if upload.form.is_none() {
        return Err(Error::UnsupportedMediaType(
            "The body is a form with the field `file`: multipart/form-data.",
        ));
    }
    let conversion = upload::receive(&context, upload, body).await?;
    let mut response = "success!".into_response();
    if let Ok(address) = HeaderValue::try_from(location(conversion.id)) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

async fn get_download(
    context: Arc<Context>,
    headers: HeaderMap,
    query: Download,
) -> Result<Response, Error> {
    let identity = context.verifier.identify(&headers).await?;
    let fid = query.fid.ok_or_else(|| Error::bad_request("fid is missing: the id of the MP3"))?;
    let conversion = context.storage.conversion_of_mp3(parse(&fid)?).await?;
    identity.must_own(&conversion.owner)?;
    mp3::send(&context, &conversion, &headers).await
}
