//! Temporary: upload speed against a bare sink.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use gateway::{HttpConfig, Server};
use serde_json::json;
use sha2::Digest;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use warp::Filter;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "server" => server(&args[2]),
        "sink" => sink(&args[2]),
        "send" => send(
            &args[2],
            args[3].parse().unwrap(),
            args.get(4).map(String::as_str),
            args.get(5).is_some(),
        ),
        _ => {}
    }
}

fn hwm() -> String {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::main]
async fn server(folder: &str) {
    let url = format!("file:{folder}");
    let storage = storage::Storage::open(&url).await.unwrap();
    let queue = queue::Queue::open(&url).await.unwrap();
    let key = Ed25519KeyPair::generate().unwrap();
    let keys = json!({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":BASE64.encode(key.public_key())}]});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut http = HttpConfig::new(
        format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap(),
    );
    tokio::spawn(
        warp::serve(warp::any().map(move || warp::reply::json(&keys)).boxed())
            .incoming(listener)
            .run(),
    );
    http.listen.set_port(0);
    let server = Server::with(http, storage, queue).await.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let enc = |v: serde_json::Value| BASE64.encode(v.to_string());
    let content = format!(
        "{}.{}",
        enc(json!({"alg":"EdDSA","typ":"at+jwt","kid":"one"})),
        enc(
            json!({"iss":"audio-converter","aud":"audio-converter","sub":"ada","role":"user","nbf":now,"exp":now+36000})
        )
    );
    println!(
        "{} {content}.{}",
        server.address(),
        BASE64.encode(key.sign(content.as_bytes()))
    );
    tokio::spawn(async {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            std::fs::write("/tmp/speed-hwm", hwm()).unwrap();
        }
    });
    server.run(CancellationToken::new()).await;
}

fn sink(path: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{} x", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut file = std::fs::File::create(path).unwrap();
        let mut hash = sha2::Sha256::new();
        let mut buf = vec![0; 1 << 18];
        let mut left: u64 = {
            let mut l = [0; 8];
            stream.read_exact(&mut l).unwrap();
            u64::from_le_bytes(l)
        };
        while left > 0 {
            let n = stream.read(&mut buf).unwrap();
            hash.update(&buf[..n]);
            file.write_all(&buf[..n]).unwrap();
            left -= n as u64;
        }
        file.sync_all().unwrap();
        let _ = hash.finalize();
        stream.write_all(b"ok").unwrap();
    }
}

fn send(address: &str, size: u64, token: Option<&str>, form: bool) {
    let block: Vec<u8> = (0..1 << 20)
        .map(|n: u32| (n.wrapping_mul(2654435761) >> 13) as u8)
        .collect();
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
    match token {
        None => stream.write_all(&size.to_le_bytes()).unwrap(),
        Some(token) => {
            let (kind, length) = if form {
                (
                    "multipart/form-data; boundary=b",
                    size + head.len() as u64 + 9,
                )
            } else {
                ("video/mp4", size)
            };
            write!(stream, "POST /v1/videos HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n").unwrap();
        }
    }
    if form {
        stream.write_all(head.as_bytes()).unwrap();
    }
    for _ in 0..size >> 20 {
        stream.write_all(&block).unwrap();
    }
    if form {
        stream.write_all(b"\r\n--b--\r\n").unwrap();
    }
    let mut answer = [0; 64];
    let n = stream.read(&mut answer).unwrap();
    println!(
        "{:.3} s  {:?}",
        began.elapsed().as_secs_f64(),
        String::from_utf8_lossy(&answer[..n.min(15)])
    );
}
