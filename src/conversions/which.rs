//! Which conversions a command is about: ids, or `@latest`; and the way through several of them.

use crate::{
    client::{Client, Conversion, List},
    error::{Error, verdict},
    terminal::Terminal,
};
use domain::ConversionId;
use std::{fmt, str::FromStr};

/// One conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Latest,
    /// This one.
    Id(ConversionId),
}

impl FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "@latest" => Ok(Self::Latest),
            id => id.parse().map(Self::Id).map_err(|_| {
                "an id looks like 01890a5d-ac96-774b-bcce-b302099a8057; @latest is the newest \
                 conversion"
                    .to_owned()
            }),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("@latest"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl Which {
    /// The conversion as it is now.
    pub(crate) async fn find(self, client: &Client) -> Result<Conversion, Error> {
        match self {
            Self::Id(id) => Ok(client.conversion(id).await?),
            Self::Latest => {
                let query = [("limit", "1".to_owned())];
                let list: List<_> = client.get(&["v1", "conversions"], &query).await?;
                let latest = list.items.into_iter().next();
                latest.ok_or_else(|| Error::failed("there are no conversions yet"))
            }
        }
    }
}

/// Does `act` for each of `things`; one that fails does not stop the others.
pub(crate) async fn each<T: fmt::Display, R>(
    things: &[T],
    terminal: &Terminal,
    what: &'static str,
    act: impl AsyncFn(&T) -> Result<R, Error>,
) -> (Vec<R>, Result<(), Error>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for thing in things {
        match act(thing).await {
            Ok(result) => done.push(result),
            Err(error) => {
                if things.len() > 1 {
                    terminal.note(format!("audio-converter: {thing}: {error}"));
                }
                failed.push(error);
            }
        }
    }
    (done, verdict(failed, things.len(), what))
}
