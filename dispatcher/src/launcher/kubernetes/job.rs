//! The Job of one attempt, as a pure function of the record and the configuration.

use super::{
    super::job_name,
    needs::{Bounds, Needs},
    nodes,
    template::JobTemplate,
};
use domain::Conversion;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource,
            PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile,
            SecretKeySelector, SecurityContext, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Selects everything this dispatcher has made.
pub(super) const SELECTOR: &str = "app.kubernetes.io/managed-by=audio-converter-dispatcher";
/// The conversion's id, as a label.
pub(super) const CONVERSION: &str = "audio-converter.dev/conversion";
/// The attempt's number, as a label.
pub(super) const ATTEMPT: &str = "audio-converter.dev/attempt";
/// The batch that its conversion is part of, as a label.
const BATCH: &str = "audio-converter.dev/batch";
/// The trace that began with the upload, as an annotation.
const TRACE: &str = "audio-converter.dev/traceparent";
/// Of everything in the spec, so that a Job of our name but not of our making is seen.
pub(super) const SPEC_HASH: &str = "audio-converter.dev/spec-hash";

/// Everything that is the same for all Jobs.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// Where Jobs are made.
    pub namespace: String,
    /// The image of `converter-job`.
    pub image: String,
    /// What an operator adds to each pod.
    pub template: JobTemplate,
    /// Where the converter finds video and record, unless a secret says so.
    pub storage_url: String,
    /// Name of a Secret in the Jobs' namespace with the key `STORAGE_URL`.
    pub storage_secret: Option<String>,
    /// What an attempt may be given.
    pub bounds: Bounds,
    /// Where Kueue is to admit Jobs: its local queue.
    pub kueue_queue: Option<String>,
    /// Seconds that a Job may wait for a node and its image.
    pub pending_limit_seconds: u64,
    /// Seconds that a finished Job stays to be looked at.
    pub ttl_seconds: i32,
}

/// Beyond waiting and running, for starting and committing.
const MARGIN_SECONDS: u64 = 60;
/// No privileges are needed; the image has no such user either.
const USER: i64 = 10001;

/// The label by which Kueue knows what it is to admit.
const KUEUE: &str = "kueue.x-k8s.io/queue-name";

/// What is known of an attempt besides its record. It changes from one moment to the next; whose Job it
/// is does not.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlook {
    /// Seconds that it is expected to take.
    pub(super) seconds: Option<f64>,
    /// Nodes on which it had better not be.
    pub(super) avoid: BTreeSet<String>,
}

/// Builds the Job of the record's attempt.
pub(super) fn build(config: &JobConfig, record: &Conversion, outlook: &Outlook) -> Job {
    let same = spec(config, record, config.bounds.needs(record, None));
    let mut annotations = annotations(record);
    annotations
        .insert(SPEC_HASH.to_owned(), hash_of(&serde_json::to_string(&same).unwrap_or_default()));
    let mut labels = labels(record);
    labels.extend(config.kueue_queue.iter().map(|queue| (KUEUE.to_owned(), queue.clone())));
    let mut spec = spec(config, record, config.bounds.needs(record, outlook.seconds));
    nodes::keep_off(spec.template.spec.get_or_insert_default(), &outlook.avoid);
    Job {
        metadata: ObjectMeta {
            name: Some(job_name(record.id, record.attempt)),
            namespace: Some(config.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

fn spec(config: &JobConfig, record: &Conversion, needs: Needs) -> JobSpec {
    let deadline = config.pending_limit_seconds + needs.deadline_seconds + MARGIN_SECONDS;
    let mut template = config.template.merged_with(PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(record)),
            annotations: Some(annotations(record)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(config, record, needs)),
    });
    nodes::leave_lost(template.spec.get_or_insert_default());
    JobSpec {
        // Kueue lets it begin.
        suspend: config.kueue_queue.is_some().then_some(true),
        // Attempts are the dispatcher's: their number lives in the record.
        backoff_limit: Some(0),
        // Counts waiting too.
        active_deadline_seconds: i64::try_from(deadline).ok(),
        ttl_seconds_after_finished: Some(config.ttl_seconds),
        template,
        ..JobSpec::default()
    }
}

/// The labels that say whose Job it is.
pub(super) fn identity(job: &Job) -> Option<(String, String)> {
    let labels = job.metadata.labels.as_ref()?;
    Some((labels.get(CONVERSION)?.clone(), labels.get(ATTEMPT)?.clone()))
}

fn labels(record: &Conversion) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "converter-job".to_owned()),
        ("app.kubernetes.io/managed-by", "audio-converter-dispatcher".to_owned()),
        (CONVERSION, record.id.to_string()),
        (ATTEMPT, record.attempt.to_string()),
        ("audio-converter.dev/preset", record.options.preset.to_string()),
        // A label has 63 characters of few kinds; the whole names are annotations.
        ("audio-converter.dev/owner", label_value(record.owner.as_str())),
        ("audio-converter.dev/video-name", readable(record.name.as_str())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .chain(record.batch.iter().map(|batch| (BATCH.to_owned(), batch.to_string())))
    .collect()
}

fn annotations(record: &Conversion) -> BTreeMap<String, String> {
    [
        ("audio-converter.dev/owner", record.owner.to_string()),
        ("audio-converter.dev/video-name", record.name.to_string()),
        ("audio-converter.dev/video", record.video.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .chain(record.trace.iter().map(|trace| (TRACE.to_owned(), trace.to_string())))
    .collect()
}

/// The text itself where it may be a label, else a hash of it.
fn label_value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let fits = text.len() <= 63
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'));
    if fits { text.to_owned() } else { hash_of(text) }
}

/// As much of the text as a label takes, to be read and not to be searched for.
fn readable(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let kept = text.chars().map(|c| if plain(c) || matches!(c, '.' | '_') { c } else { '-' });
    kept.take(63).collect::<String>().trim_matches(|c| !plain(c)).to_owned()
}

fn hash_of(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn pod(config: &JobConfig, record: &Conversion, needs: Needs) -> PodSpec {
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // Killing it loses nothing: the next attempt begins anew.
        termination_grace_period_seconds: Some(5),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(config, record, needs)],
        volumes: Some(vec![Volume {
            name: "tmp".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity("16Mi".to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        }]),
        ..PodSpec::default()
    }
}

fn container(config: &JobConfig, record: &Conversion, needs: Needs) -> Container {
    Container {
        name: "converter-job".to_owned(),
        image: Some(config.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec!["attempt".to_owned()]),
        env: Some(environment(config, record)),
        resources: Some(resources(config, needs)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // The attempt writes its reason there; the end of the log stands in if it could not.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: "tmp".to_owned(),
            mount_path: "/tmp".to_owned(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn environment(config: &JobConfig, record: &Conversion) -> Vec<EnvVar> {
    let plain = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    let storage = match &config.storage_secret {
        None => plain("STORAGE_URL", config.storage_url.clone()),
        Some(secret) => EnvVar {
            name: "STORAGE_URL".to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: secret.clone(),
                    key: "STORAGE_URL".to_owned(),
                    optional: None,
                }),
                ..EnvVarSource::default()
            }),
        },
    };
    vec![
        storage,
        plain("CONVERSION_ID", record.id.to_string()),
        plain("ATTEMPT", record.attempt.to_string()),
        plain("RUN_LIMIT_SECONDS", config.bounds.run_limit_seconds.to_string()),
        plain("LOG_FORMAT", "json".to_owned()),
    ]
}

fn resources(config: &JobConfig, needs: Needs) -> ResourceRequirements {
    let amounts = |cpu: u32| -> BTreeMap<String, Quantity> {
        [
            ("cpu", format!("{cpu}m")),
            ("memory", format!("{}Mi", needs.memory_mib)),
            ("ephemeral-storage", format!("{}Mi", config.bounds.disk_mib)),
        ]
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .into()
    };
    ResourceRequirements {
        // A conversion takes all the processor time it is given; it asks for a tenth to be placed.
        requests: Some(amounts((needs.cpu_millis / 10).max(1))),
        limits: Some(amounts(needs.cpu_millis)),
        claims: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_videos_name_stays_readable_in_a_label() {
        assert_eq!(readable("my film (1).mp4"), "my-film--1-.mp4");
        assert_eq!(readable("Фильм"), "");
        assert_eq!(readable(&"a".repeat(100)).len(), 63);
    }

    #[test]
    fn names_that_cannot_be_labels_are_hashed() {
        assert_eq!(label_value("ada"), "ada");
        for name in ["ada@example.org", "Ада", "-ada", &"a".repeat(64)] {
            assert_eq!(label_value(name).len(), 16, "{name}");
        }
    }
}
