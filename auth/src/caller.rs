//! Who asks, by a bearer token of either kind, and `POST /validate`, which tells it to others. Auth
//! itself always looks at the account, so that what is revoked is void at once; verifiers elsewhere
//! have `GET /revocations`: the accounts whose earlier login tokens are void.

use crate::{
    Error,
    account::{self, Account},
    api_token,
    database::now,
    problem::Refusal,
    request::answer,
    routes::Service,
    token::{Claims, LEEWAY_SECONDS},
};
use domain::{Role, UserName};
use headers::{Authorization, HeaderMapExt, authorization::Bearer};
use serde_json::json;
use std::time::Duration;
use warp::{
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    reply::Response,
};

/// How long the claims of an API token that never expires are good.
const CLAIMS_LIFETIME: Duration = Duration::from_secs(300);

/// Somebody with an account and a good token.
pub(crate) struct Caller {
    pub(crate) account: Account,
    pub(crate) name: UserName,
    pub(crate) role: Role,
    pub(crate) claims: Claims,
}

impl Caller {
    /// Who asks.
    pub(crate) async fn identify(service: &Service, headers: &HeaderMap) -> Result<Self, Refusal> {
        let given: Option<Authorization<Bearer>> = headers.typed_get();
        let given = given.ok_or(Refusal::Token)?;
        let caller = if given.token().starts_with(api_token::PREFIX) {
            by_api_token(service, given.token()).await?
        } else {
            by_login_token(service, given.token()).await?
        };
        caller.filter(|caller| !caller.account.disabled).ok_or(Refusal::Token)
    }

    /// Who asks, or nobody where there is no token at all.
    pub(crate) async fn or_nobody(
        service: &Service,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Refusal> {
        if !headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        Self::identify(service, headers).await.map(Some)
    }

    pub(crate) fn must_be_admin(&self) -> Result<(), Refusal> {
        let why = "Only an administrator may do this.";
        if self.role == Role::Admin { Ok(()) } else { Err(Refusal::Forbidden(why)) }
    }

    /// What concerns somebody else does not exist, except for an administrator.
    pub(crate) fn must_be_or_rule(&self, name: &UserName) -> Result<(), Refusal> {
        let may = self.role == Role::Admin || self.name == *name;
        if may { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// A stolen API token must not be able to outlive its revocation.
    pub(crate) fn must_have_logged_in(&self) -> Result<(), Refusal> {
        let why = "An API token may not do this; log in and use the token of the login.";
        if self.claims.token.is_none() { Ok(()) } else { Err(Refusal::Forbidden(why)) }
    }
}

async fn by_login_token(service: &Service, token: &str) -> Result<Option<Caller>, Error> {
    let Some(claims) = service.keys.verify(token).await else { return Ok(None) };
    let account = account::find(&service.database, &claims.sub).await?;
    let Some(account) = account.filter(|account| account.epoch == claims.epoch) else {
        return Ok(None);
    };
    let (name, role) = (account.user_name()?, account.role()?);
    Ok(Some(Caller { account, name, role, claims }))
}

async fn by_api_token(service: &Service, token: &str) -> Result<Option<Caller>, Error> {
    let Some((found, account)) = api_token::find(&service.database, token).await? else {
        return Ok(None);
    };
    let (name, role) = (account.user_name()?, account.role()?);
    let seconds = now().unsigned_abs() / 1000;
    let mut claims = Claims::new(name.clone(), role, account.epoch, seconds, CLAIMS_LIFETIME);
    if let Some(expires_at) = found.expires_at {
        claims.exp = expires_at.unsigned_abs() / 1000;
    }
    claims.token = Some(found.id);
    Ok(Some(Caller { account, name, role, claims }))
}

/// `POST /validate`: a token in, its claims out.
pub(crate) async fn validate(service: &Service, headers: &HeaderMap) -> Result<Response, Refusal> {
    let caller = Caller::identify(service, headers).await?;
    Ok(answer(StatusCode::OK, &caller.claims))
}

/// `GET /revocations`: for each account whose epoch was raised while a login token of before may
/// still be good, the epoch below which its tokens are void.
pub(crate) async fn revocations(service: &Service) -> Result<Response, Refusal> {
    let lifetime = service.token_lifetime + 2 * Duration::from_secs(LEEWAY_SECONDS);
    let since = now() - i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
    let raised = account::raised(&service.database, since).await?;
    let items: Vec<_> =
        raised.into_iter().map(|(sub, epoch)| json!({"sub": sub, "epoch": epoch})).collect();
    Ok(answer(StatusCode::OK, &json!({"items": items})))
}
