//! `/v1/users`: who has an account. Administrators rule over all of them, everybody over their own.

use crate::{
    Error,
    account::{self, Account, Change, Changed},
    api_token,
    attempt::{self, Attempt, Outcome},
    caller::Caller,
    config::Registration,
    password,
    problem::Refusal,
    request::{Request, answer},
    routes::Service,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use domain::{Role, UserName};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use warp::{
    Reply,
    http::{StatusCode, header},
    reply::{Response, with_header, with_status},
};

const DEFAULT_LIMIT: usize = 20;
const HIGHEST_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: UserName,
    password: String,
    role: Option<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    role: Option<Role>,
    disabled: Option<bool>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passwords {
    current: String,
    new: String,
}

/// `POST /v1/users`
pub(crate) async fn create(service: &Service, mut request: Request) -> Result<Response, Refusal> {
    let caller = Caller::or_nobody(service, &request.headers).await?;
    if service.registration == Registration::Closed {
        caller.as_ref().ok_or(Refusal::Token)?.must_be_admin()?;
    }
    let NewUser { name, password, role } = request.json().await?;
    let role = role.unwrap_or(Role::User);
    if role == Role::Admin && caller.is_none_or(|caller| caller.role != Role::Admin) {
        return Err(Refusal::Forbidden("Only an administrator makes administrators."));
    }
    let hash = hash(service, password).await?;
    if !account::insert(&service.database, None, &name, role, &hash).await? {
        return Err(Refusal::NameTaken);
    }
    let account = account::find(&service.database, &name).await?.ok_or(Refusal::NotFound)?;
    let location = format!("/v1/users/{}", utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC));
    let answer = answer(StatusCode::CREATED, &shown(&account)?);
    Ok(with_header(answer, header::LOCATION, location).into_response())
}

/// `GET /v1/users`
pub(crate) async fn list(service: &Service, request: Request) -> Result<Response, Refusal> {
    Caller::identify(service, &request.headers).await?.must_be_admin()?;
    let (mut after, mut limit) = (String::new(), DEFAULT_LIMIT);
    for (name, value) in &request.query {
        match name.as_str() {
            "limit" => limit = parse_limit(value)?,
            "cursor" => after = parse_cursor(value)?,
            _ => {}
        }
    }
    let mut accounts = account::list(&service.database, &after, limit as i64 + 1).await?;
    let more = accounts.len() > limit;
    accounts.truncate(limit);
    let next = accounts.last().filter(|_| more).map(|last| BASE64.encode(&last.name));
    let items = accounts.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({"items": items, "next": next})))
}

/// `GET /v1/users/NAME`
pub(crate) async fn get(
    service: &Service,
    name: &UserName,
    request: Request,
) -> Result<Response, Refusal> {
    Caller::identify(service, &request.headers).await?.must_be_or_rule(name)?;
    let account = account::find(&service.database, name).await?.ok_or(Refusal::NotFound)?;
    Ok(answer(StatusCode::OK, &shown(&account)?))
}

/// `PATCH /v1/users/NAME`
pub(crate) async fn patch(
    service: &Service,
    name: &UserName,
    mut request: Request,
) -> Result<Response, Refusal> {
    Caller::identify(service, &request.headers).await?.must_be_admin()?;
    let Patch { role, disabled, password } = request.json().await?;
    account::find(&service.database, name).await?.ok_or(Refusal::NotFound)?;
    let password_hash = match password {
        Some(password) => Some(hash(service, password).await?),
        None => None,
    };
    let fresh = password_hash.is_some();
    let change = Change { role, disabled, password_hash, epoch: None };
    let account = done(account::change(&service.database, name, &change).await?)?;
    if fresh {
        // An administrator's new password also ends the waiting that others have caused.
        service.delays.forget(&service.database, name).await?;
    }
    Ok(answer(StatusCode::OK, &shown(&account)?))
}

/// `PUT /v1/users/NAME/password`
pub(crate) async fn password(
    service: &Arc<Service>,
    name: &UserName,
    mut request: Request,
) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, &request.headers).await?;
    if caller.name != *name {
        return Err(Refusal::NotFound);
    }
    caller.must_have_logged_in()?;
    let Passwords { current, new } = request.json().await?;
    password::acceptable(&new.as_str().into()).map_err(|fault| Refusal::bad_password(&fault))?;
    let attempt = Attempt::new(name.clone(), &request.headers, current.into());
    match attempt::check(service, attempt).await? {
        Outcome::Right(_) => {}
        Outcome::Wrong => return Err(Refusal::WrongPassword),
        Outcome::Later(seconds) => return Err(Refusal::Later(seconds)),
    }
    let password_hash = Some(hash(service, new).await?);
    // Where anything has changed since the token was looked at, the token is void by now.
    let epoch = Some(caller.account.epoch);
    let change = Change { password_hash, epoch, ..Change::default() };
    match account::change(&service.database, name, &change).await? {
        Changed::Gone => Err(Refusal::Token),
        other => done(other).map(|_| no_content()),
    }
}

/// `DELETE /v1/users/NAME`
pub(crate) async fn delete(
    service: &Service,
    name: &UserName,
    request: Request,
) -> Result<Response, Refusal> {
    Caller::identify(service, &request.headers).await?.must_be_or_rule(name)?;
    let account = done(account::delete(&service.database, name).await?)?;
    api_token::delete_all(&service.database, account.id).await?;
    Ok(no_content())
}

fn done(changed: Changed) -> Result<Account, Refusal> {
    match changed {
        Changed::Done(account) => Ok(account),
        Changed::Gone => Err(Refusal::NotFound),
        Changed::LastAdmin => Err(Refusal::LastAdmin),
    }
}

/// The hash of a new password, made behind the gate.
async fn hash(service: &Service, password: String) -> Result<String, Refusal> {
    let password = SecretString::from(password);
    password::acceptable(&password).map_err(|fault| Refusal::bad_password(&fault))?;
    let core = service.gate.enter(false)?.core().await?;
    let (hash, _) = core.run(move || password::hash(&password)).await?;
    Ok(hash?)
}

fn parse_limit(text: &str) -> Result<usize, Refusal> {
    let limit = text.parse().ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit));
    limit.ok_or_else(|| Refusal::BadRequest("limit is a number from 1 to 100.".to_owned()))
}

fn parse_cursor(text: &str) -> Result<String, Refusal> {
    let name = BASE64.decode(text).ok().and_then(|name| String::from_utf8(name).ok());
    let why = "cursor is what `next` of an earlier page said.";
    name.ok_or_else(|| Refusal::BadRequest(why.to_owned()))
}

fn shown(account: &Account) -> Result<Value, Error> {
    Ok(json!({
        "name": account.name,
        "role": account.role,
        "disabled": account.disabled,
        "created_at": time(account.created_at)?,
    }))
}

/// A stored time as it is shown.
pub(crate) fn time(milliseconds: i64) -> Result<Timestamp, Error> {
    let time = Timestamp::from_millisecond(milliseconds);
    time.map_err(|cause| Error::Internal(format!("a stored time is unusable: {cause}")))
}

fn no_content() -> Response {
    with_status(warp::reply(), StatusCode::NO_CONTENT).into_response()
}
