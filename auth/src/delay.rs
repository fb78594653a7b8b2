//! How long a name must wait after wrong passwords. Counted in the database, so that it holds over
//! restarts and over several processes, and by name, so that a name nobody has is like any other.
//!
//! Each pair of name and client address waits 1 s after its third failure in a row, then twice as
//! long each time, 15 minutes at most. What is tried meanwhile is not looked at and changes nothing.
//! Since an attacker may have many addresses, each name also has one counter over all of them: from
//! the 100th failure on, new addresses get one try in 30 s at most.
//!
//! Why this locks no victim out: a pair is kept waiting only by failures from its own address, and
//! the counter of the name does not hold for an address that has logged in within 30 days. So who
//! logs in from where they always do is let in whatever the rest of the world tries. API tokens are
//! never kept waiting, and a password that an administrator sets clears the counters. (Who shares
//! an address with the attacker shares the waiting, and on a new address one has to be quicker than
//! the attacker once in 30 s. So the gateway must tell the true addresses.)

mod counters;

use crate::{
    Error,
    account::Account,
    database::{Database, now, on, schema::login_failures},
};
use diesel::{
    ExpressionMethods, QueryDsl, QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::UserName;
use std::sync::atomic::{AtomicU32, Ordering};

/// All times here are milliseconds.
const SECOND: i64 = 1_000;
const DAY: i64 = 86_400 * SECOND;

/// Failures before the first delay, and the longest delay: of a pair, and of a name over all addresses.
const PAIR: (i64, i64) = (3, 900 * SECOND);
const NAME: (i64, i64) = (100, 30 * SECOND);
/// What stands for all addresses of a name. No address reads so.
const EVERYWHERE: &str = "*";
/// A counter is forgotten when nothing has failed for this long.
const FORGOTTEN: i64 = DAY;
/// How long an address is known for after a login, and how seldom that is written again.
const KNOWN: i64 = 30 * DAY;
const FRESH: i64 = DAY;
/// One failure in so many tidies up.
const TIDY: u32 = 256;

// All that a login needs in one read; a name that nobody has gives a row of nothing.
const LOOK: &str = "SELECT a.id, a.password_hash, a.role, a.disabled, a.created_at, a.epoch, \
    p.failures AS pair_failures, p.failed_at AS pair_failed_at, \
    e.failures AS name_failures, e.failed_at AS name_failed_at, k.succeeded_at \
    FROM (SELECT 1 AS one) AS one \
    LEFT JOIN accounts AS a ON a.name = ? AND a.deleted = FALSE \
    LEFT JOIN login_failures AS p ON p.name = ? AND p.address = ? \
    LEFT JOIN login_failures AS e ON e.name = ? AND e.address = '*' \
    LEFT JOIN known_addresses AS k ON k.name = ? AND k.address = ?";
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    password_hash: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
    #[diesel(sql_type = Nullable<Bool>)]
    disabled: Option<bool>,
    #[diesel(sql_type = Nullable<BigInt>)]
    created_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pair_failures: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pair_failed_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    name_failures: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    name_failed_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    succeeded_at: Option<i64>,
}

/// A name at an address, as a login finds it.
pub(crate) struct Standing {
    pub(crate) account: Option<Account>,
    row: Row,
}

impl Standing {
    /// How many seconds to wait from now on, if any.
    pub(crate) fn wait(&self) -> Option<u64> {
        self.wait_at(now())
    }

    /// Whether there has been a login from the address within 30 days.
    pub(crate) fn known(&self) -> bool {
        self.row.known_at(now())
    }

    fn wait_at(&self, now: i64) -> Option<u64> {
        let row = &self.row;
        let pair = remaining(row.pair_failures, row.pair_failed_at, PAIR, now);
        let name = remaining(row.name_failures, row.name_failed_at, NAME, now);
        let wait = if row.known_at(now) { pair } else { pair.max(name) };
        (wait > 0).then(|| wait.unsigned_abs().div_ceil(SECOND.unsigned_abs()))
    }
}

impl Row {
    fn known_at(&self, now: i64) -> bool {
        self.succeeded_at.is_some_and(|at| now - at < KNOWN)
    }

    fn account(&mut self, name: &UserName) -> Option<Account> {
        Some(Account {
            id: self.id?,
            name: name.to_string(),
            password_hash: self.password_hash.take()?,
            role: self.role.take()?,
            disabled: self.disabled?,
            created_at: self.created_at?,
            epoch: self.epoch?,
        })
    }
}

/// What is left of a counter's delay.
fn remaining(failures: Option<i64>, failed_at: Option<i64>, rule: (i64, i64), now: i64) -> i64 {
    let (Some(failures), Some(failed_at)) = (failures, failed_at) else { return 0 };
    let ((free, longest), age) = (rule, (now - failed_at).max(0));
    if failures < free || age >= FORGOTTEN {
        return 0;
    }
    let doublings = (failures - free).min(20);
    (SECOND << doublings).min(longest) - age
}

/// The counters.
#[derive(Default)]
pub(crate) struct Delays {
    failures: AtomicU32,
}

impl Delays {
    /// How the name stands at this address.
    pub(crate) async fn look(
        &self,
        database: &Database,
        name: &UserName,
        address: &str,
    ) -> Result<Standing, Error> {
        let look = sql_query(LOOK)
            .bind::<Text, _>(name.as_str())
            .bind::<Text, _>(name.as_str())
            .bind::<Text, _>(address)
            .bind::<Text, _>(name.as_str())
            .bind::<Text, _>(name.as_str())
            .bind::<Text, _>(address);
        let mut row: Row = on!(database, |c| look.get_result(&mut c))?;
        Ok(Standing { account: row.account(name), row })
    }

    /// Counts a wrong password.
    pub(crate) async fn failed(
        &self,
        database: &Database,
        name: &UserName,
        address: &str,
    ) -> Result<(), Error> {
        counters::count(database, name, address).await?;
        counters::count(database, name, EVERYWHERE).await?;
        if self.failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY) {
            counters::tidy(database).await?;
        }
        Ok(())
    }

    /// Clears the pair's counter and remembers the address, where that is not so already.
    pub(crate) async fn succeeded(
        &self,
        database: &Database,
        name: &UserName,
        address: &str,
        standing: &Standing,
    ) -> Result<(), Error> {
        if standing.row.pair_failures.is_some() {
            let pair = login_failures::table.find((name.as_str(), address));
            let delete = diesel::delete(pair);
            on!(database, |c| delete.execute(&mut c))?;
        }
        if standing.row.succeeded_at.is_none_or(|at| now() - at >= FRESH) {
            counters::remember(database, name, address).await?;
        }
        Ok(())
    }

    /// Clears every counter of the name.
    pub(crate) async fn forget(&self, database: &Database, name: &UserName) -> Result<(), Error> {
        let named = login_failures::table.filter(login_failures::name.eq(name.as_str()));
        let delete = diesel::delete(named);
        on!(database, |c| delete.execute(&mut c))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(failures: i64, rule: (i64, i64), age: i64) -> i64 {
        remaining(Some(failures), Some(0), rule, age)
    }

    #[test]
    fn a_delay_doubles_up_to_its_longest() {
        let seconds: Vec<_> = (1..=15).map(|failures| left(failures, PAIR, 0) / SECOND).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(left(i64::MAX, PAIR, 0), 900 * SECOND);
        let seconds: Vec<_> = (99..=106).map(|failures| left(failures, NAME, 0) / SECOND).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_delay_passes_and_is_forgotten() {
        assert_eq!(left(4, PAIR, 500), 1_500);
        assert!(left(4, PAIR, 2_000) <= 0);
        assert_eq!(left(1_000, PAIR, FORGOTTEN), 0);
        assert_eq!(left(3, PAIR, -5_000), SECOND, "another machine's clock is ahead");
    }
}
