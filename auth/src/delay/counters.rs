//! What is written when a password was wrong or right: the counters, and the addresses known of a
//! name. Neither grows without bound: whatever is too old or too much goes when others are written.

use super::{FORGOTTEN, KNOWN};
use crate::{
    Error,
    database::{
        Database, is_taken, now, on,
        schema::{known_addresses, login_failures},
    },
};
use diesel::{
    ExpressionMethods, QueryDsl, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::UserName;

/// The most counters. At a core's 25 hashes a second it takes half an hour to push one out, so
/// doing so gains fewer guesses than waiting does.
const COUNTERS: i64 = 100_000;
/// The most addresses known of one name.
const ADDRESSES: i64 = 64;

// MySQL reads the table it deletes from only through a table derived from it.
const EVICT: &str = "DELETE FROM login_failures WHERE failed_at <= (SELECT t.failed_at FROM \
    (SELECT failed_at FROM login_failures ORDER BY failed_at DESC LIMIT 1 OFFSET ?) AS t)";
const EVICT_ADDRESSES: &str = "DELETE FROM known_addresses WHERE name = ? AND succeeded_at <= \
    (SELECT t.succeeded_at FROM (SELECT succeeded_at FROM known_addresses WHERE name = ? \
    ORDER BY succeeded_at DESC LIMIT 1 OFFSET ?) AS t)";

/// Counts a failure of the name at this address.
pub(super) async fn count(
    database: &Database,
    name: &UserName,
    address: &str,
) -> Result<(), Error> {
    // The first assignment reads the old time: MySQL assigns from left to right.
    let add = sql_query(
        "UPDATE login_failures SET failures = CASE WHEN failed_at < ? THEN 1 ELSE failures + 1 END, \
         failed_at = ? WHERE name = ? AND address = ?",
    );
    let time = now();
    let add = add
        .bind::<BigInt, _>(time - FORGOTTEN)
        .bind::<BigInt, _>(time)
        .bind::<Text, _>(name.as_str())
        .bind::<Text, _>(address);
    let update = add.clone();
    if on!(database, |c| update.execute(&mut c))? > 0 {
        return Ok(());
    }
    let first = diesel::insert_into(login_failures::table).values((
        login_failures::name.eq(name.as_str()),
        login_failures::address.eq(address),
        login_failures::failures.eq(1),
        login_failures::failed_at.eq(time),
    ));
    match on!(database, |c| first.execute(&mut c)) {
        // Somebody else counted the first one in between.
        Err(cause) if is_taken(&cause) => on!(database, |c| add.execute(&mut c))?,
        other => other?,
    };
    Ok(())
}

/// Notes that the address has logged in, and lets old ones go.
pub(super) async fn remember(
    database: &Database,
    name: &UserName,
    address: &str,
) -> Result<(), Error> {
    let time = now();
    let pair = known_addresses::table.find((name.as_str(), address));
    let update = diesel::update(pair).set(known_addresses::succeeded_at.eq(time));
    if on!(database, |c| update.execute(&mut c))? > 0 {
        return Ok(());
    }
    let insert = diesel::insert_into(known_addresses::table).values((
        known_addresses::name.eq(name.as_str()),
        known_addresses::address.eq(address),
        known_addresses::succeeded_at.eq(time),
    ));
    match on!(database, |c| insert.execute(&mut c)) {
        Err(cause) if is_taken(&cause) => return Ok(()),
        other => other?,
    };
    let old = known_addresses::table.filter(known_addresses::succeeded_at.lt(time - KNOWN));
    let delete = diesel::delete(old);
    on!(database, |c| delete.execute(&mut c))?;
    let evict = sql_query(EVICT_ADDRESSES)
        .bind::<Text, _>(name.as_str())
        .bind::<Text, _>(name.as_str())
        .bind::<BigInt, _>(ADDRESSES);
    on!(database, |c| evict.execute(&mut c))?;
    Ok(())
}

/// Removes the counters that are forgotten, and the oldest where there are too many.
pub(super) async fn tidy(database: &Database) -> Result<(), Error> {
    let old = login_failures::table.filter(login_failures::failed_at.lt(now() - FORGOTTEN));
    let delete = diesel::delete(old);
    on!(database, |c| delete.execute(&mut c))?;
    let evict = sql_query(EVICT).bind::<BigInt, _>(COUNTERS);
    on!(database, |c| evict.execute(&mut c))?;
    Ok(())
}
