//! One try of a password, of a login or of a change of password. It is looked at only when the name
//! need not wait at this address, and a wrong one is counted before its core is free for the next:
//! so of many tries at once no more than there are cores get in before the first one counts.

use crate::{
    Error,
    account::{self, Account},
    delay::Standing,
    gate::Seat,
    password::{self, Check},
    routes::Service,
};
use domain::UserName;
use secrecy::SecretString;
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};
use warp::http::HeaderMap;

/// Who tries what, from where.
pub(crate) struct Attempt {
    name: UserName,
    address: String,
    password: SecretString,
}

/// What came of it.
pub(crate) enum Outcome {
    Right(Account),
    /// Also where the account is disabled, or there is none.
    Wrong,
    /// Not looked at: come back in so many seconds.
    Later(u64),
}

impl Attempt {
    /// The address is what the gateway says; nobody else can reach this service.
    pub(crate) fn new(name: UserName, headers: &HeaderMap, password: SecretString) -> Self {
        let told = headers.get("x-client-address").and_then(|value| value.to_str().ok());
        Self { name, address: site(told.and_then(|text| text.trim().parse().ok())), password }
    }
}

/// What counts as one address: of IPv6 the network, since a customer has at least 2^64 of them.
fn site(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = address.to_bits() & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
    }
}

/// Checks the password, unless the name has to wait.
pub(crate) async fn check(service: &Arc<Service>, attempt: Attempt) -> Result<Outcome, Error> {
    let standing = look(service, &attempt).await?;
    if let Some(seconds) = standing.wait() {
        return Ok(Outcome::Later(seconds));
    }
    let seat = service.gate.enter(standing.known())?;
    // A task of its own: who hangs up is counted all the same.
    let check = tokio::spawn(evaluate(Arc::clone(service), attempt, standing, seat));
    check.await.map_err(|cause| Error::Internal(format!("a password was not checked: {cause}")))?
}

async fn look(service: &Service, attempt: &Attempt) -> Result<Standing, Error> {
    service.delays.look(&service.database, &attempt.name, &attempt.address).await
}

async fn evaluate(
    service: Arc<Service>,
    attempt: Attempt,
    mut standing: Standing,
    seat: Seat,
) -> Result<Outcome, Error> {
    let core = seat.core().await?;
    if core.waited {
        // Others may have failed meanwhile.
        standing = look(&service, &attempt).await?;
        if let Some(seconds) = standing.wait() {
            return Ok(Outcome::Later(seconds));
        }
    }
    let Attempt { name, address, password } = attempt;
    let stored = standing.account.as_ref().map(|account| account.password_hash.clone());
    let (check, _core) = core.run(move || password::check(&password, stored.as_deref())).await?;
    let (database, delays) = (&service.database, &service.delays);
    match (standing.account.as_ref().filter(|account| !account.disabled), check?) {
        (Some(account), Check::Right { rehashed }) => {
            if let Err(error) = delays.succeeded(database, &name, &address, &standing).await {
                tracing::warn!(%error, "an address that has logged in is not remembered");
            }
            if let Some(fresh) = rehashed {
                keep(&service, account, &fresh).await;
            }
            Ok(Outcome::Right(account.clone()))
        }
        _ => {
            delays.failed(database, &name, &address).await?;
            Ok(Outcome::Wrong)
        }
    }
}

/// Stores the hash with today's parameters. Failing to is no reason to refuse a login.
async fn keep(service: &Service, account: &Account, fresh: &str) {
    if let Err(error) = account::rehash(&service.database, account, fresh).await {
        tracing::warn!(%error, account.id, "an old password hash was not replaced");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_one_customer() {
        for (given, kept) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("nonsense", "unknown"),
        ] {
            assert_eq!(site(given.parse().ok()), kept);
        }
    }
}
