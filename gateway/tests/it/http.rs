//! Requests as bytes and answers as values.

use domain::ConversionId;
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    /// The id of the conversion that it shows.
    pub(crate) fn id(&self) -> ConversionId {
        self.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// That it is a problem with this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
    }
}

/// One part of a form; the file where it has a file name.
pub(crate) fn part(head: &str, content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; {head}\r\nContent-Type: video/mp4\r\n\r\n{content}\r\n"
    )
}

pub(crate) const FORM: &str = "multipart/form-data; boundary=b";

/// A connection on which `head` has been sent.
pub(crate) async fn begun(address: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What comes on the connection until the server closes it.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await;
    assert!(end.is_ok() || !answer.is_empty(), "{end:?}");
    String::from_utf8_lossy(&answer).into_owned()
}
