//! What a decoder says beside the MP3's bytes. It may have been taken over: nothing is kept twice.

use super::{Error, Made};
use crate::protocol::{Drawn, Facts};
use domain::Loudness;

/// Lines in the log, and warnings in the report, that one decoder may cause.
const MOST_NOTICES: usize = 4;

/// What the decoder has said so far beside the MP3.
#[derive(Default)]
pub(super) struct Said {
    facts: Option<Facts>,
    drawn: Option<Drawn>,
    notices: Vec<String>,
}

impl Said {
    /// A decoder that has been taken over must not fill the log.
    pub(super) fn notice(&mut self, text: String) {
        if self.notices.len() < MOST_NOTICES {
            tracing::warn!(decoder.notice = text, "the decoder has something to say");
            self.notices.push(text);
        }
    }

    pub(super) fn facts(&mut self, facts: Facts) -> Result<(), Error> {
        once(&mut self.facts, facts)
    }

    pub(super) fn drawn(&mut self, drawn: Drawn) -> Result<(), Error> {
        once(&mut self.drawn, drawn)
    }

    /// All of it, for an MP3 that is whole.
    pub(super) fn made(
        self,
        duration_ms: u64,
        length: u64,
        loudness: Option<Loudness>,
    ) -> Result<Made, Error> {
        let Self { facts, drawn, notices: warnings } = self;
        let unsaid = || Error::Decoder("an MP3 of nothing that it has found".to_owned());
        Ok(Made {
            duration_ms,
            length,
            loudness,
            facts: facts.ok_or_else(unsaid)?,
            drawn,
            warnings,
        })
    }
}

/// Keeps what is said once.
fn once<T>(kept: &mut Option<T>, said: T) -> Result<(), Error> {
    match kept.replace(said) {
        None => Ok(()),
        Some(_) => Err(Error::Decoder("it says twice what is said once".to_owned())),
    }
}
