//! Repeated requests: the same key with the same content is answered as the first time, with other
//! content it is refused. Nothing is stored for a repeat.

use crate::{body::Body, context::Context, error::Error};
use domain::{Conversion, Idempotency, Options};
use futures::TryStreamExt;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use storage::Blob;

/// The key in the request's `Idempotency-Key`, if it has one: 1 to 255 visible ASCII characters.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<Idempotency>, Error> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let good = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if good && values.next().is_none() => Ok(Some(Idempotency { key: key.to_owned() })),
        _ => Err(Error::bad_request("an Idempotency-Key has 1 to 255 visible ASCII characters")),
    }
}

/// Measures a video without storing it.
pub(crate) async fn measure(mut video: Body) -> Result<Blob, Error> {
    let (mut length, mut digest) = (0, Sha256::new());
    while let Some(chunk) = video.try_next().await? {
        length += chunk.len() as u64;
        digest.update(&chunk);
    }
    Ok(Blob { length, sha256: <[u8; 32]>::from(digest.finalize()).into() })
}

/// The first request's conversion, if this upload says the same.
pub(crate) async fn repeated(
    context: &Context,
    first: Conversion,
    blob: &Blob,
    options: &Options,
) -> Result<Conversion, Error> {
    let video = context.storage.video(first.video).await?;
    let same =
        video.length == blob.length && video.sha256 == blob.sha256 && first.options == *options;
    if same { Ok(first) } else { Err(Error::KeyReused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn keys_are_checked() {
        let read = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            key(&HeaderMap::from_iter([(http::HeaderName::from_static("idempotency-key"), value)]))
        };
        assert_eq!(read(b"a-1").unwrap().unwrap().key, "a-1");
        for bad in [&b""[..], b"a b", "ключ".as_bytes(), &[b'x'; 256]] {
            assert!(matches!(read(bad), Err(Error::BadRequest(_))), "{bad:?}");
        }
        assert!(key(&HeaderMap::new()).unwrap().is_none());
    }
}
