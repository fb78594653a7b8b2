//! The description of the API (OpenAPI 3.1), gathered from the handlers and the types that they
//! answer with. What auth answers by way of the gateway is described here.

use super::{batches, beside, conversions, dispatching, letters, login, me, mp3, videos};
use crate::error::{Error, Problem};
use jiff::Timestamp;
use std::sync::OnceLock;
use utoipa::{
    IntoParams, Modify, OpenApi, ToSchema,
    openapi::{
        Content, OpenApi as Description, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use uuid::Uuid;

/// What a POST may carry.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes the API")]
pub(super) struct Key {
    /// 1 to 255 visible ASCII characters. The same key with the same content gives the first answer
    /// again; with other content 422.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// What a user may do.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the API")]
pub(super) enum RoleName {
    User,
    Admin,
}

macro_rules! described {
    ($($(#[$doc:meta])* $visibility:vis struct $name:ident as $public:ident {
        $($(#[$of:meta])* $field:ident: $type:ty,)*
    })*) => {
        $($(#[$doc])* #[derive(ToSchema)] #[schema(as = $public)]
        #[expect(dead_code, reason = "it describes the API")]
        struct $name { $($(#[$of])* $field: $type,)* })*
    };
}

described! {
    /// An account.
    struct UserView as User { name: String, role: RoleName, disabled: bool, created_at: Timestamp, }
    /// A page of accounts.
    struct UserList as UserList { items: Vec<UserView>, next: Option<String>, }
    /// An account to be made.
    struct NewUser as NewUser { name: String, password: String, role: Option<RoleName>, }
    /// What is to change; what is absent stays.
    struct UserChange as UserChange {
        role: Option<RoleName>, disabled: Option<bool>, password: Option<String>,
    }
    /// A change of one's own password.
    struct NewPassword as NewPassword { current: String, new: String, }
    /// A personal API token.
    struct TokenView as Token {
        id: Uuid, name: String, created_at: Timestamp, expires_at: Option<Timestamp>,
    }
    /// Every personal API token.
    struct TokenList as TokenList { items: Vec<TokenView>, next: Option<String>, }
    /// A token to be made.
    struct NewToken as NewToken {
        #[schema(min_length = 1, max_length = 64)] name: String,
        /// Absent or null means never.
        #[schema(minimum = 1, maximum = 3650)] expires_in_days: Option<u32>,
    }
    /// A token that has been made; `token` is shown this once.
    struct MadeToken as MadeToken {
        id: Uuid, name: String, token: String, created_at: Timestamp, expires_at: Option<Timestamp>,
    }
    /// A signing key that has been made.
    struct MadeKey as MadeKey { kid: String, signs_from: Timestamp, }
}

macro_rules! at_auth {
    ($($(#[$doc:meta])* $name:ident($($path:tt)*);)*) => {
        $($(#[$doc])* #[utoipa::path(tag = "accounts", $($path)*)]
        #[expect(dead_code, reason = "it describes the API")]
        fn $name() {})*
    };
}

at_auth! {
    /// Lists accounts by name (admins).
    list_users(get, path = "/v1/users",
        params(("limit" = Option<u32>, Query, minimum = 1, maximum = 100),
            ("cursor" = Option<String>, Query)),
        responses((status = 200, description = "A page", body = UserList),
            (status = 400, description = "Something is wrong with the request"),
            (status = 403, description = "`forbidden`")));
    /// Adds an account: admins, or anybody where registration is open.
    add_user(post, path = "/v1/users", request_body = NewUser, security((), ("token" = [])),
        responses((status = 201, description = "Made", body = UserView),
            (status = 400, description = "The name or the password will not do"),
            (status = 401, description = "`unauthorized`"),
            (status = 403, description = "`forbidden`"),
            (status = 409, description = "`name_taken`")));
    /// Shows an account (admins, and oneself).
    show_user(get, path = "/v1/users/{name}", params(("name" = String, Path)),
        responses((status = 200, description = "The account", body = UserView),
            (status = 404, description = "There is no such account, or it is not yours to see")));
    /// Changes an account (admins).
    change_user(patch, path = "/v1/users/{name}", params(("name" = String, Path)),
        request_body = UserChange,
        responses((status = 200, description = "The account", body = UserView),
            (status = 400, description = "Something is wrong with the request"),
            (status = 403, description = "`forbidden`"),
            (status = 404, description = "There is no such account"),
            (status = 409, description = "`last_admin`")));
    /// Deletes an account and all its videos (admins, and oneself). Its name is never given again.
    delete_user(delete, path = "/v1/users/{name}", params(("name" = String, Path)),
        responses((status = 204, description = "It is gone"),
            (status = 403, description = "`forbidden`"),
            (status = 404, description = "There is no such account, or it is not yours"),
            (status = 409, description = "`last_admin`")));
    /// Changes one's own password. Every login token from before is void.
    change_password(put, path = "/v1/users/{name}/password", params(("name" = String, Path)),
        request_body = NewPassword,
        responses((status = 204, description = "Changed"),
            (status = 400, description = "The new password will not do"),
            (status = 403, description = "`wrong_password`, `forbidden`"),
            (status = 404, description = "It is not yours"),
            (status = 429, description = "`too_many_requests`")));
    /// Lists one's API tokens.
    list_tokens(get, path = "/v1/tokens",
        responses((status = 200, description = "All of them", body = TokenList)));
    /// Makes an API token; this takes a login token.
    add_token(post, path = "/v1/tokens", request_body = NewToken,
        responses((status = 201, description = "Made", body = MadeToken),
            (status = 400, description = "Something is wrong with the request"),
            (status = 403, description = "`forbidden`"),
            (status = 409, description = "`too_many_tokens`")));
    /// Revokes an API token, at once.
    revoke_token(delete, path = "/v1/tokens/{id}", params(("id" = Uuid, Path)),
        responses((status = 204, description = "It is void"),
            (status = 404, description = "There is no such token")));
    /// Makes the next signing key (admins).
    add_key(post, path = "/v1/keys",
        responses((status = 201, description = "Made", body = MadeKey),
            (status = 403, description = "`forbidden`")));
}

/// Videos in, MP3s out.
#[derive(OpenApi)]
#[openapi(
    info(title = "Audio converter", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        videos::post_video, videos::list_videos, videos::show_video, videos::delete_video,
        conversions::post_conversion, conversions::list_conversions, conversions::show_conversion,
        conversions::cancel_conversion, conversions::retry_conversion, mp3::show_mp3,
        beside::show_report, beside::show_waveform,
        login::login_at_auth, me::show_me, list_users, add_user, show_user, change_user,
        batches::post_batch, batches::list_batches, batches::show_batch, batches::change_batch,
        batches::estimate_batch, dispatching::show_dispatching, dispatching::switch_dispatching,
        delete_user, change_password, list_tokens, add_token, revoke_token, add_key,
        letters::list_dead_letters, letters::replay_dead_letter, letters::drop_dead_letter,
    ),
    components(schemas(Problem<'static>)),
    security(("token" = [])),
    modifiers(&Common),
)]
struct Api;

/// What holds for every operation.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut Description) {
        let scheme = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
        if let Some(components) = &mut api.components {
            components.add_security_scheme("token", scheme(HttpAuthScheme::Bearer));
            components.add_security_scheme("password", scheme(HttpAuthScheme::Basic));
        }
        for operation in api.paths.paths.values_mut().flat_map(operations) {
            let answers = &mut operation.responses.responses;
            for (status, answer) in answers.iter_mut() {
                if let RefOr::T(answer) = answer
                    && status.as_str() >= "4"
                {
                    answer.content = problem().content;
                }
            }
            answers.entry("401".to_owned()).or_insert_with(|| RefOr::T(problem()));
            answers.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.head];
    all.into_iter().chain([&mut path.patch]).flatten()
}

fn problem() -> Response {
    let schema = Content::new(Some(Ref::from_schema_name("Problem")));
    let answer = ResponseBuilder::new().description("A problem; its code says which");
    answer.content("application/problem+json", schema).build()
}

/// The description as JSON.
pub(super) fn description() -> Result<&'static str, Error> {
    static TEXT: OnceLock<String> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text);
    }
    let text = Api::openapi().to_json().map_err(|error| Error::Internal(error.to_string()))?;
    Ok(TEXT.get_or_init(|| text))
}
