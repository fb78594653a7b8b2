//! The growing delay after wrong passwords, and that it locks nobody out. Time passes by moving what
//! is stored into the past.

use crate::{
    backend::{Backend, FIRST_PASSWORD},
    client::{Running, problem},
    on_both,
};
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use std::time::Duration;
use tokio::time::timeout;

on_both! {
    the_delay_doubles_is_capped_and_survives_a_restart,
    success_clears_the_counter,
    an_unknown_name_is_delayed_like_a_known_one,
    a_flood_from_everywhere_does_not_lock_out_a_known_address,
    tries_at_once_are_counted,
    who_hangs_up_is_counted,
    the_counters_do_not_grow_without_bound,
}

const HOME: &str = "192.0.2.1";
const ATTACKER: &str = "198.51.100.7";

async fn passes(backend: &Backend, seconds: i64) {
    let milliseconds = seconds * 1000;
    let sql = format!("UPDATE login_failures SET failed_at = failed_at - {milliseconds}");
    backend.execute(&sql).await;
}

/// The seconds to wait that an answer tells.
async fn delay(answer: Response) -> i64 {
    let seconds = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    problem(answer, StatusCode::TOO_MANY_REQUESTS, "too_many_requests").await;
    seconds
}

async fn wrong(server: &Running, address: &str, name: &str) {
    let answer = server.login_from(address, name, "wrong password").await;
    problem(answer, StatusCode::UNAUTHORIZED, "unauthorized").await;
}

async fn the_delay_doubles_is_capped_and_survives_a_restart(backend: &Backend) {
    let mut server = Running::open(backend.config()).await;
    wrong(&server, ATTACKER, "admin").await;
    wrong(&server, ATTACKER, "admin").await;
    // Seconds later than right now, since computers are slow: a delay is told rounded up.
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900] {
        wrong(&server, ATTACKER, "admin").await;
        if seconds == 1 {
            // The shortest delay could be over before the next line asks.
            passes(backend, -1).await;
        }
        let told = delay(server.login_from(ATTACKER, "admin", FIRST_PASSWORD).await).await;
        assert!((seconds - 1..=seconds + 1).contains(&told), "{told} and not {seconds}");
        // What was tried in between did not make it longer.
        let again = delay(server.login_from(ATTACKER, "admin", "wrong password").await).await;
        assert!(again <= told, "{again} after {told}");
        if seconds == 64 {
            server.stop().await;
            server = Running::open(backend.config()).await;
            let kept = delay(server.login_from(ATTACKER, "admin", FIRST_PASSWORD).await).await;
            assert!((50..=64).contains(&kept), "{kept}");
        }
        passes(backend, seconds + 2).await;
    }
    let answer = server.login_from(ATTACKER, "admin", FIRST_PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::OK, "after the delay the right one passes");
}

async fn success_clears_the_counter(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    for _ in 0..3 {
        wrong(&server, HOME, "admin").await;
        wrong(&server, HOME, "admin").await;
        let answer = server.login_from(HOME, "admin", FIRST_PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    // The counter of the name over all addresses stays: else logins would help an attacker.
    let sql = "SELECT failures AS value FROM login_failures";
    assert_eq!(backend.number(sql).await, 6);
    assert_eq!(backend.count("login_failures").await, 1);
    passes(backend, 86_401).await;
    wrong(&server, HOME, "admin").await;
    assert_eq!(backend.number(sql).await, 1, "a day without a failure forgets");
}

async fn an_unknown_name_is_delayed_like_a_known_one(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let mut told = Vec::new();
    for name in ["admin", "nobody"] {
        for _ in 0..3 {
            wrong(&server, ATTACKER, name).await;
        }
        // One delay for both, so that they can be compared.
        let sql = "UPDATE login_failures SET failures = 9 WHERE address <> '*'";
        backend.execute(sql).await;
        let answer = server.login_from(ATTACKER, name, FIRST_PASSWORD).await;
        let mut headers: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
        headers.sort();
        let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((60..=64).contains(&seconds), "{seconds}");
        let body = problem(answer, StatusCode::TOO_MANY_REQUESTS, "too_many_requests").await;
        told.push((headers, body));
    }
    assert_eq!(told[0], told[1]);
    let rows = |name| format!("SELECT COUNT(*) AS value FROM login_failures WHERE name = '{name}'");
    assert_eq!(backend.number(&rows("admin")).await, backend.number(&rows("nobody")).await);
}

async fn a_flood_from_everywhere_does_not_lock_out_a_known_address(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let login = async |address| server.login_from(address, "admin", FIRST_PASSWORD).await;
    assert_eq!(login(HOME).await.status(), StatusCode::OK);
    wrong(&server, ATTACKER, "admin").await;
    let flood = "UPDATE login_failures SET failures = 100000 WHERE address = '*'";
    backend.execute(flood).await;
    for address in ["203.0.113.5", "2001:db8::1", "no address"] {
        let told = delay(login(address).await).await;
        assert!((25..=30).contains(&told), "{told}");
    }
    assert_eq!(login(HOME).await.status(), StatusCode::OK, "the exempt address");
    wrong(&server, HOME, "admin").await;
    assert_eq!(login(HOME).await.status(), StatusCode::OK);
    passes(backend, 31).await;
    assert_eq!(login("203.0.113.5").await.status(), StatusCode::OK, "a new one after 30 s");
    // A month later home is an address like any other.
    backend.execute("UPDATE known_addresses SET succeeded_at = succeeded_at - 2592000001").await;
    wrong(&server, ATTACKER, "admin").await;
    delay(login(HOME).await).await;
}

async fn tries_at_once_are_counted(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    // Nobody has waited for a second when the last of these is looked at.
    let tries = (0..30).map(|_| server.login_from(ATTACKER, "admin", "wrong password"));
    let answers = join_all(tries).await;
    let count = |status| answers.iter().filter(|answer| answer.status() == status).count();
    let (looked_at, later) =
        (count(StatusCode::UNAUTHORIZED), count(StatusCode::TOO_MANY_REQUESTS));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(looked_at + later, 30);
    assert!(looked_at < 6 + 2 * cores, "{looked_at} were looked at");
    let counted = "SELECT failures AS value FROM login_failures WHERE address = '*'";
    assert_eq!(backend.number(counted).await, i64::try_from(looked_at).unwrap());
}

async fn who_hangs_up_is_counted(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let hang_up = async || {
        // Mostly long enough to be sent, and hardly ever for a hash.
        let login = server.login_from(ATTACKER, "admin", "wrong password");
        let answered = timeout(Duration::from_millis(15), login).await.is_ok();
        let counted = backend.count("login_failures").await > 0;
        answered || counted
    };
    let counted = async { while !hang_up().await {} };
    timeout(Duration::from_secs(60), counted).await.unwrap();
}

async fn the_counters_do_not_grow_without_bound(backend: &Backend) {
    let server = Running::open(backend.config()).await;
    let now = "SELECT MAX(failed_at) AS value FROM login_failures";
    wrong(&server, HOME, "somebody").await;
    let now = backend.number(now).await;
    // Of yesterday, and more than there may be of today.
    let digits: Vec<_> = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect();
    let digits = format!("({})", digits.join(" UNION ALL "));
    let sql = |places: usize, prefix: &str, at: i64| {
        let tables: Vec<_> = (0..places).map(|n| format!("{digits} AS t{n}")).collect();
        let number: Vec<_> =
            (0..places).map(|n| format!("t{n}.d * {}", 10_i64.pow(n as u32))).collect();
        let number = number.join(" + ");
        let address = match backend {
            Backend::Sqlite(_) => format!("'{prefix}' || ({number})"),
            Backend::MySql { .. } => format!("CONCAT('{prefix}', {number})"),
        };
        format!(
            "INSERT INTO login_failures (name, address, failures, failed_at) \
             SELECT 'flood', {address}, 1, {at} + {number} FROM {}",
            tables.join(", ")
        )
    };
    backend.execute(&sql(2, "old", now - 90_000_000)).await;
    backend.execute(&sql(5, "new", now - 200_000)).await;
    // A process tidies at its first failure, and then now and again.
    server.stop().await;
    let server = Running::open(backend.config()).await;
    wrong(&server, HOME, "somebody else").await;
    assert_eq!(backend.count("login_failures").await, 100_000);
    let old = "SELECT COUNT(*) AS value FROM login_failures WHERE address LIKE 'old%'";
    assert_eq!(backend.number(old).await, 0);
    let fresh = "SELECT COUNT(*) AS value FROM login_failures WHERE name LIKE 'somebody%'";
    assert_eq!(backend.number(fresh).await, 4, "the oldest go first");
}
