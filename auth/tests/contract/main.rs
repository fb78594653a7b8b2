//! What the service promises, checked over both databases. SQLite always runs, in a folder of its
//! own; MySQL runs where `MYSQL_URL` names a server, in a database that each test makes and drops.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap here is a failed test")]

mod backend;
mod client;
mod command;
mod forged;
mod login;
mod routes;
mod start;

/// One test per database out of each scenario.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        $(mod $scenario {
            use crate::backend::Backend;

            #[tokio::test]
            async fn sqlite() {
                Backend::sqlite().run(super::$scenario).await;
            }

            #[tokio::test]
            async fn mysql() {
                if let Some(backend) = Backend::mysql().await {
                    backend.run(super::$scenario).await;
                }
            }
        })*
    };
}
pub(crate) use on_both;
