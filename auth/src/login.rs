//! `POST /login`: HTTP Basic in, a token out. The answer to an unknown name, a wrong password and a
//! disabled account is the same, and takes the same time.

use crate::{
    account::Account,
    attempt::{self, Attempt, Outcome},
    password,
    problem::Refusal,
    routes::Service,
    token::Claims,
};
use domain::UserName;
use headers::{Authorization, HeaderMapExt, authorization::Basic};
use jsonwebtoken::get_current_timestamp;
use secrecy::SecretString;
use std::sync::Arc;
use warp::{
    Reply,
    http::{HeaderMap, header},
    reply::{Response, with_header},
};

pub(crate) async fn login(
    service: &Arc<Service>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let (name, password) = credentials(headers).ok_or(Refusal::Login)?;
    let attempt = Attempt::new(name.clone(), headers, password);
    let account = match attempt::check(service, attempt).await? {
        Outcome::Right(account) => account,
        Outcome::Wrong => return Err(Refusal::Login),
        Outcome::Later(seconds) => return Err(Refusal::Later(seconds)),
    };
    let token = token(service, name, &account).await?;
    Ok(with_header(token, header::CACHE_CONTROL, "no-store").into_response())
}

/// Who wants in. Refuses at once what no account can have, which tells nothing about any account.
fn credentials(headers: &HeaderMap) -> Option<(UserName, SecretString)> {
    let given: Authorization<Basic> = headers.typed_get()?;
    let name = given.username().parse().ok()?;
    let password = SecretString::from(given.password());
    password::possible(&password).then_some((name, password))
}

async fn token(service: &Service, name: UserName, account: &Account) -> Result<String, Refusal> {
    let (now, lifetime) = (get_current_timestamp(), service.token_lifetime);
    // The epoch is of before the password was checked: what was changed meanwhile voids the token.
    let claims = Claims::new(name, account.role()?, account.epoch, now, lifetime);
    Ok(service.keys.issue(&claims).await?)
}
