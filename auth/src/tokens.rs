//! `/v1/tokens`: the API tokens of who asks.

use crate::{
    api_token::{self, ApiToken},
    caller::Caller,
    database::now,
    problem::Refusal,
    request::{Request, answer},
    routes::Service,
    users::time,
};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::{
    Reply,
    http::StatusCode,
    reply::{Response, with_status},
};

const LONGEST_NAME: usize = 64;
const MOST_DAYS: i64 = 3_650;
const DAY: i64 = 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    expires_in_days: Option<i64>,
}

/// `POST /v1/tokens`
pub(crate) async fn create(service: &Service, mut request: Request) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, &request.headers).await?;
    caller.must_have_logged_in()?;
    let NewToken { name, expires_in_days } = request.json().await?;
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        let why = "A token's name has 1 to 64 characters, none of them a control character.";
        return Err(Refusal::BadRequest(why.to_owned()));
    }
    if expires_in_days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
        let why = "expires_in_days is a whole number from 1 to 3650, or null for never.";
        return Err(Refusal::BadRequest(why.to_owned()));
    }
    let expires_at = expires_in_days.map(|days| now() + days * DAY);
    let made = api_token::create(&service.database, &caller.account, name, expires_at).await?;
    let (token, text) = made.ok_or(Refusal::TooManyTokens)?;
    let mut body = shown(&token)?;
    body["token"] = text.into();
    Ok(answer(StatusCode::CREATED, &body))
}

/// `GET /v1/tokens`
pub(crate) async fn list(service: &Service, request: Request) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, &request.headers).await?;
    let tokens = api_token::list(&service.database, &caller.account).await?;
    let items = tokens.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({"items": items, "next": null})))
}

/// `DELETE /v1/tokens/ID`
pub(crate) async fn delete(
    service: &Service,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, &request.headers).await?;
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    if !api_token::delete(&service.database, &caller.account, id).await? {
        return Err(Refusal::NotFound);
    }
    Ok(with_status(warp::reply(), StatusCode::NO_CONTENT).into_response())
}

fn shown(token: &ApiToken) -> Result<Value, Refusal> {
    Ok(json!({
        "id": token.id,
        "name": token.name,
        "created_at": time(token.created_at)?,
        "expires_at": token.expires_at.map(time).transpose()?,
    }))
}
