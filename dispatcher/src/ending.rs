//! What operators are told of attempts and conversions that ended badly. Users read the record; this
//! is for who looks at the cluster.

use crate::launcher::{Job, Note};
use domain::{Cause, Conversion, State};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The ended jobs that have been looked at, so that each is looked at once.
#[derive(Default)]
pub(crate) struct Endings(Mutex<Option<HashSet<String>>>);

impl Endings {
    /// Those of the ended jobs that have not been looked at.
    pub(crate) fn fresh<'a>(&self, jobs: &'a [Job]) -> Vec<&'a Job> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_seen = |job: &Job| seen.as_ref().is_some_and(|seen| seen.contains(&job.name));
        jobs.iter().filter(|job| !job.phase.is_alive() && !is_seen(job)).collect()
    }

    /// Whether nothing has been looked at yet: what has ended by now was counted by an earlier process.
    pub(crate) fn are_new(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Remembers that all of these have been looked at, and nothing of those that are gone.
    pub(crate) fn looked_at(&self, jobs: &[Job]) {
        let ended = jobs.iter().filter(|job| !job.phase.is_alive());
        let ended = ended.map(|job| job.name.clone()).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    }
}

/// Counts a conversion that has come to its end.
pub(crate) fn count(record: &Conversion) {
    if !record.state.is_terminal() {
        return;
    }
    let reason = record.failure.as_ref().map_or("none", |failure| failure.reason.code());
    let labels = [("outcome", record.state.as_str()), ("reason", reason)];
    metrics::counter!("audio_converter_conversions_total", &labels).increment(1);
    if let (Some(began), Some(ended)) = (record.dispatched_at, record.finished_at) {
        let took = ended.duration_since(began).as_secs_f64();
        metrics::histogram!("audio_converter_conversion_seconds").record(took.max(0.0));
    }
}

/// That this attempt was taken back; `record` is what came of it.
pub(crate) fn taken_back(record: &Conversion, cause: &Cause) -> Note {
    let reason = match cause {
        Cause::Trouble(_) => "AttemptFailed",
        Cause::Disruption(_) => "AttemptDisrupted",
        Cause::OutOfMemory(_) => "OutOfMemory",
        Cause::NeverStarted(_) => "NeverStarted",
    };
    let next = match record.state {
        State::Failed => "it is not tried again",
        _ => "it is tried again",
    };
    let (what, detail) = (what(record), cause.detail());
    Note { reason, text: format!("attempt {} of {what}: {detail}; {next}", record.attempt) }
}

/// That the conversion failed for good, if it did.
pub(crate) fn failed(record: &Conversion) -> Option<Note> {
    let failure = record.failure.as_ref()?;
    let (code, sentence, detail) =
        (failure.reason.code(), failure.reason.sentence(), &failure.detail);
    let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
    let text = format!("{}: {code}: {sentence}{detail}", what(record));
    Some(Note { reason: "ConversionFailed", text })
}

fn what(record: &Conversion) -> String {
    format!("{}'s {} (preset {})", record.owner, record.name, record.options.preset)
}
