//! Logins: the server's CPU for one, against Argon2's own with the same parameters.

use crate::{Result, report::Row, server::Server};
use argon2::{Algorithm, Argon2, Params, Version};
use std::time::Instant;

const ROUNDS: usize = 5;
const LOGINS: usize = 20;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let server = Server::start()?;
    server.sign_in()?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let before = server.cpu_seconds()?;
        for _ in 0..LOGINS {
            server.sign_in()?;
        }
        pairs.push(((server.cpu_seconds()? - before) / LOGINS as f64 * 1000.0, argon2_alone()?));
    }
    Ok(vec![Row::of_pairs("a login: CPU", &pairs, 1.1, "ms")])
}

/// Milliseconds of one hash, on one thread that does nothing else.
fn argon2_alone() -> Result<f64> {
    let params = Params::new(47_104, 1, 1, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let start = Instant::now();
    for _ in 0..LOGINS {
        // A fresh block each time, as a server must have it.
        let mut hash = [0; 32];
        argon2.hash_password_into(b"correct horse", b"sixteen bytes...", &mut hash)?;
    }
    Ok(start.elapsed().as_secs_f64() / LOGINS as f64 * 1000.0)
}
