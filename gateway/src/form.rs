//! The one file of a multipart form, as a stream. What the parser would keep is bounded here: it
//! reads ahead for as long as bytes come, and keeps a part's head until it has seen its end.

use crate::{body::Body, disposition, error::Error};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::header::CONTENT_DISPOSITION;
use multer::{Field, Multipart};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

/// Bytes that may have been fed to the parser without a part's content coming out.
const LONGEST_HEAD: usize = 64 * 1024;
/// Parts in one form.
const MOST_PARTS: usize = 32;

/// A file in a form.
pub(crate) struct File {
    /// What the client calls it.
    pub(crate) name: Option<String>,
    /// Its bytes; an error if the form does not end as it must.
    pub(crate) bytes: Body,
}

/// A form and where its reader stands.
struct Form {
    parts: Multipart<'static>,
    fed: Arc<AtomicUsize>,
    seen: usize,
}

/// The file in a form: the part called `file`, or the first one with a file name.
pub(crate) async fn file(body: Body, content_type: &str) -> Result<File, Error> {
    let boundary = multer::parse_boundary(content_type).map_err(Error::bad_request)?;
    let fed = Arc::<AtomicUsize>::default();
    let mut form = Form { parts: Multipart::new(paced(body, fed.clone()), boundary), fed, seen: 0 };
    while let Some(mut part) = form.next().await? {
        if is_file(&part) {
            return Ok(File { name: name(&part), bytes: content(form, part) });
        }
        while form.chunk(&mut part).await?.is_some() {}
    }
    Err(Error::bad_request("the form has no file; send it as the field `file`"))
}

impl Form {
    async fn next(&mut self) -> Result<Option<Field<'static>>, Error> {
        self.seen += 1;
        if self.seen > MOST_PARTS {
            return Err(Error::bad_request("the form has too many parts"));
        }
        self.parts.next_field().await.map_err(cause)
    }

    async fn chunk(&self, part: &mut Field<'static>) -> Result<Option<Bytes>, Error> {
        let chunk = part.chunk().await.map_err(cause)?;
        self.fed.store(0, Ordering::Relaxed);
        Ok(chunk)
    }
}

/// The file's bytes, then nothing but the form's end.
fn content(form: Form, part: Field<'static>) -> Body {
    stream::try_unfold((form, Some(part)), |(mut form, mut part)| async move {
        loop {
            if let Some(file) = &mut part {
                if let Some(chunk) = form.chunk(file).await? {
                    return Ok(Some((chunk, (form, part))));
                }
                // The parser goes on only when nobody holds a part of it.
                part = None;
            }
            let Some(mut other) = form.next().await? else {
                return Ok(None);
            };
            if is_file(&other) {
                return Err(Error::bad_request(
                    "the form has more than one file; send each on its own",
                ));
            }
            while form.chunk(&mut other).await?.is_some() {}
        }
    })
    .boxed()
}

/// Feeds the parser one chunk at a time, and not for ever where it finds nothing.
fn paced(mut body: Body, fed: Arc<AtomicUsize>) -> impl Stream<Item = Result<Bytes, Error>> {
    let mut full = false;
    stream::poll_fn(move |cx| {
        if std::mem::take(&mut full) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = body.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            full = true;
            if fed.fetch_add(chunk.len(), Ordering::Relaxed) > LONGEST_HEAD {
                return Poll::Ready(Some(Err(Error::bad_request(
                    "a part of the form has no end to its head",
                ))));
            }
        }
        next
    })
}

fn is_file(part: &Field<'_>) -> bool {
    part.name() == Some("file") || name(part).is_some()
}

fn name(part: &Field<'_>) -> Option<String> {
    let disposition = part.headers().get(CONTENT_DISPOSITION)?;
    disposition::file_name(disposition.as_bytes())
}

/// Our own error again, where the parser only handed it on.
fn cause(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => Error::ClientGone(inner.to_string()),
        },
        error => Error::bad_request(format!("the form cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests;
