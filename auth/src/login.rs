//! `POST /login`: HTTP Basic in, a token out. The answer to an unknown name, a wrong password and a
//! disabled account is the same, and takes the same time.

use crate::{
    Error,
    account::{self, Account},
    parse_role,
    password::{self, Check},
    problem,
    routes::Service,
    token::Claims,
};
use domain::UserName;
use headers::{Authorization, HeaderMapExt, authorization::Basic};
use jsonwebtoken::get_current_timestamp;
use secrecy::SecretString;
use warp::{
    Reply,
    http::{HeaderMap, header},
    reply::{Response, with_header},
};

pub(crate) async fn login(service: &Service, headers: &HeaderMap) -> Response {
    let Some((name, password)) = credentials(headers) else {
        return problem::wrong_password();
    };
    match token(service, name, password).await {
        Ok(Some(token)) => with_header(token, header::CACHE_CONTROL, "no-store").into_response(),
        Ok(None) => problem::wrong_password(),
        Err(error) => problem::from_error(&error),
    }
}

/// Who wants in. Refuses at once what no account can have, which tells nothing about any account.
fn credentials(headers: &HeaderMap) -> Option<(UserName, SecretString)> {
    let given: Authorization<Basic> = headers.typed_get()?;
    let name = given.username().parse().ok()?;
    let password = SecretString::from(given.password());
    password::possible(&password).then_some((name, password))
}

async fn token(
    service: &Service,
    name: UserName,
    password: SecretString,
) -> Result<Option<String>, Error> {
    let seat = service.gate.enter()?;
    let account = account::find(&service.database, &name).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let check = seat.run(move || password::check(&password, stored.as_deref())).await??;
    let (Some(account), Check::Right { rehashed }) = (account, check) else {
        return Ok(None);
    };
    if account.disabled {
        return Ok(None);
    }
    if let Some(fresh) = rehashed {
        keep(service, &account, &fresh).await;
    }
    let role = parse_role(&account.role).map_err(|fault| Error::Internal(fault.to_owned()))?;
    let claims = Claims::new(name, role, get_current_timestamp(), service.token_lifetime);
    service.keyring.issue(&claims).map(Some)
}

/// Stores the hash with today's parameters. Failing to is no reason to refuse a login.
async fn keep(service: &Service, account: &Account, fresh: &str) {
    if let Err(error) = account::rehash(&service.database, account, fresh).await {
        tracing::warn!(%error, account.id, "an old password hash was not replaced");
    }
}
