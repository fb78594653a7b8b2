//! Accounts, passwords and tokens, over MySQL or SQLite.
//!
//! A user shows name and password once, to `POST /login`, and gets a signed token. Who wants to
//! know whether a token is good fetches the public keys from `GET /.well-known/jwks.json`, or asks
//! `POST /validate`. Only this crate ever holds a private key or a password.

mod account;
pub mod config;
mod database;
mod error;
mod gate;
mod key;
mod login;
mod password;
mod problem;
mod routes;
mod server;
mod token;
mod validate;

pub use account::{FirstAccount, add_account, parse_role};
pub use config::{Config, DatabaseUrl};
pub use error::Error;
pub use password::BadPassword;
pub use server::Server;
