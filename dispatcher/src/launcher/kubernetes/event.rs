//! Events on Jobs: what `kubectl describe job` and `kubectl get events` tell of an attempt.
//!
//! An Event's name follows from the Job and the reason, so saying it again says nothing new.

use super::super::Note;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};

const COMPONENT: &str = "audio-converter-dispatcher";
/// The API server takes at most 1024 bytes of message.
const LONGEST_MESSAGE: usize = 1024;

/// The Event that says `note` of the Job with this uid.
pub(super) fn build(namespace: &str, job: &str, uid: &str, note: &Note) -> Event {
    let now = Time(Timestamp::now());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{job}.{}", note.reason.to_ascii_lowercase())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job.to_owned()),
            namespace: Some(namespace.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(cut(&note.text)),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        count: Some(1),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        ..Event::default()
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_MESSAGE);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = Note { reason: "AttemptFailed", text: "ä".repeat(1000) };
        let event = build("jobs", "convert-x-1", "u1", &note);
        assert_eq!(event.message.unwrap().len(), 1024);
        assert_eq!(event.metadata.name.unwrap(), "convert-x-1.attemptfailed");
    }
}
