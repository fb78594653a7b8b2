//! Who the user is at a server: logins that this machine remembers, passwords, tokens, accounts.

pub(crate) mod login;
pub(crate) mod logins;
mod password;
pub(crate) mod token;
pub(crate) mod user;
