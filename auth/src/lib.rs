//! Accounts, passwords and tokens, over MySQL or SQLite.
//!
//! `/v1/users` says who has an account. A user shows name and password once, to `POST /login`, and gets a signed token. Who wants to
//! know whether a token is good fetches the public keys from `GET /.well-known/jwks.json`, or asks
//! `POST /validate`. For scripts there are personal API tokens, which only this crate can tell. Only
//! this crate ever holds a private key or a password.

mod account;
mod api_token;
mod attempt;
mod caller;
pub mod config;
mod database;
mod delay;
mod error;
mod gate;
mod key;
mod keys;
mod login;
mod password;
mod problem;
mod request;
mod routes;
mod server;
mod token;
mod tokens;
mod users;

pub use account::{FirstAccount, Imported, add_account, import_accounts, parse_role};
pub use config::{Config, DatabaseUrl, Registration};
pub use database::examine;
pub use error::Error;
pub use keys::{NextKey, rotate_keys};
pub use password::BadPassword;
pub use server::Server;
