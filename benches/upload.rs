//! An upload of 2 GB against a floor: the least that any server must do with the same bytes, which
//! is to take them from a socket, hash them, write them and sync them. Both sides are fed by the same
//! sender.

use crate::{Result, report::Row, server::Server};
use anyhow::ensure;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

/// The argument that makes this program the floor.
pub(crate) const FLOOR: &str = "floor";

const GIGABYTE: usize = 1_000_000_000;
/// Of one upload, in bytes.
const LENGTH: usize = 2 * GIGABYTE;
const PAIRS: usize = 5;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    let token = server.sign_in()?;
    server.forget_peak()?;
    let before = server.resident_mb()?;
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        pairs.push((ours(&server, &token, LENGTH, n as u8)?, floor_took(n as u8)?));
        // The disk may have room for one of them.
        server.delete_videos(&token)?;
    }
    let growth = server.peak_mb()? - before;
    Ok(vec![
        Row::of_pairs("upload of 2 GB: wall", &pairs, 1.3, "s"),
        Row::of_limit("upload of 2 GB: growth of the server's peak", growth, 32.0, "MB"),
    ])
}

/// One upload, for other measurements.
pub(crate) fn one(server: &Server) -> Result {
    ours(server, &server.sign_in()?, GIGABYTE, 0).map(drop)
}

/// Seconds from the first byte of an upload of so many to its 202.
pub(crate) fn ours(server: &Server, token: &str, length: usize, n: u8) -> Result<f64> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(&server.address)?;
    write!(
        stream,
        "POST /v1/videos?name=film.mp4 HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        server.address
    )?;
    send(&mut stream, length, n)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    Ok(start.elapsed().as_secs_f64())
}

/// Bytes that are no media, so that no conversion follows.
fn send(stream: &mut TcpStream, length: usize, n: u8) -> Result {
    let block = vec![n | 1; 1 << 18];
    let mut left = length;
    while left > 0 {
        let part = left.min(block.len());
        stream.write_all(&block[..part])?;
        left -= part;
    }
    Ok(())
}

fn floor_took(n: u8) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(FLOOR)
        .arg(folder.path().join("film"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = [0; 5];
    let Some(said) = &mut child.stdout else { anyhow::bail!("no pipe") };
    said.read_exact(&mut address)?;
    let port: u16 = std::str::from_utf8(&address)?.parse()?;
    let start = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    send(&mut stream, LENGTH, n)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut digest = [0; 32];
    stream.read_exact(&mut digest)?;
    let took = start.elapsed().as_secs_f64();
    ensure!(child.wait()?.success(), "the floor failed");
    Ok(took)
}

/// The floor: says its port, takes one connection, answers with the hash once all is on the disk.
pub(crate) fn floor(path: &Path) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut out = std::io::stdout();
    write!(out, "{:05}", listener.local_addr()?.port())?;
    out.flush()?;
    let (mut stream, _) = listener.accept()?;
    let (mut file, mut hash, mut block) = (File::create(path)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        let read = stream.read(&mut block)?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        file.write_all(&block[..read])?;
    }
    file.sync_all()?;
    stream.write_all(&hash.finalize())?;
    Ok(())
}
