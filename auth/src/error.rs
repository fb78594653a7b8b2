//! What can go wrong, in the kinds that a caller tells apart. Wrong passwords and bad tokens are
//! not errors but answers, so they are not here.

use crate::BadPassword;
use diesel_async::pooled_connection::PoolError;
use domain::UserName;
use std::{io, net::SocketAddr};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away or refused. Trying again later may help.
    #[error("the database of accounts is not usable: {0}")]
    Database(String),
    /// The database's address cannot be read. Never holds it, for it may have a password in it.
    #[error("not an address of a database: it must be mysql://user:password@host:port/database")]
    Address,
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address of `AUTH_LISTEN`.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The name is taken.
    #[error("there is already an account named {0}")]
    Exists(UserName),
    /// The password may not be used for an account.
    #[error(transparent)]
    BadPassword(#[from] BadPassword),
    /// As many passwords are being hashed as this machine should. Trying again soon helps.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// As many signing keys are in use as may be.
    #[error("there are as many signing keys as may be; old ones leave by time")]
    TooManyKeys,
    /// What is stored cannot be used, or a bug.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Whether waiting may mend it.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

impl From<diesel::result::Error> for Error {
    fn from(cause: diesel::result::Error) -> Self {
        Self::Database(cause.to_string())
    }
}

impl From<diesel::ConnectionError> for Error {
    fn from(cause: diesel::ConnectionError) -> Self {
        match cause {
            diesel::ConnectionError::InvalidConnectionUrl(_) => Self::Address,
            cause => Self::Database(cause.to_string()),
        }
    }
}

impl From<bb8::RunError<PoolError>> for Error {
    fn from(cause: bb8::RunError<PoolError>) -> Self {
        Self::Database(cause.to_string())
    }
}
