//! Where passwords come from: the first line of standard input, or a question without echo.

use crate::{
    error::Error,
    terminal::{Terminal, stdin_line},
};
use secrecy::{ExposeSecret, SecretString};

/// How a command gets its password.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Password {
    /// Read the password from standard input, one line; to change your own the current one first.
    #[arg(long)]
    password_stdin: bool,
}

impl Password {
    /// Whether it stands on standard input.
    pub(crate) const fn is_given(self) -> bool {
        self.password_stdin
    }

    /// One that exists.
    pub(crate) async fn known(
        self,
        prompt: &str,
        terminal: &Terminal,
    ) -> Result<SecretString, Error> {
        if self.password_stdin {
            return line("password").await;
        }
        terminal.ask_secret(prompt).await.ok_or_else(|| {
            Error::Usage(
                "nobody is here to type the password; --password-stdin reads it".to_owned(),
            )
        })
    }

    /// A new one, asked twice.
    pub(crate) async fn chosen(
        self,
        prompt: &str,
        terminal: &Terminal,
    ) -> Result<SecretString, Error> {
        let first = self.known(prompt, terminal).await?;
        if !self.password_stdin {
            let again = self.known("Again: ", terminal).await?;
            if first.expose_secret() != again.expose_secret() {
                return Err(Error::Usage("the two passwords differ; nothing was done".to_owned()));
            }
        }
        Ok(first)
    }
}

/// A secret from standard input.
pub(crate) async fn line(what: &str) -> Result<SecretString, Error> {
    let line = stdin_line().await.filter(|line| !line.trim().is_empty());
    line.map(Into::into).ok_or_else(|| Error::Usage(format!("standard input holds no {what}")))
}
