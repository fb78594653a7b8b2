//! Where a Job stands, from its conditions and its pods; never from its counts.

use super::super::{Job, Phase};
use super::job::identity;
use domain::{Cause, Exit};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job as KubeJob, JobCondition},
    core::v1::{ContainerStateTerminated, Pod},
};
use std::sync::Arc;

/// Characters of a log's end that a record keeps; the kubelet gives 2048 bytes.
const LONGEST_WORDS: usize = 2000;

/// The Job as the deciders see it; `None` for one whose labels are not ours.
pub(super) fn job(job: &KubeJob, pods: &[Arc<Pod>]) -> Option<Job> {
    let (conversion, attempt) = identity(job)?;
    let name = job.metadata.name.clone()?;
    let own: Vec<&Pod> = pods.iter().map(AsRef::as_ref).filter(|pod| belongs(pod, job)).collect();
    Some(Job {
        name,
        conversion: conversion.parse().ok()?,
        attempt: attempt.parse().ok()?,
        created_at: begun_at(job).unwrap_or(Timestamp::MIN),
        phase: phase(job, &own),
    })
}

/// Since when it might have pods: for one that was held back that is later than its creation.
fn begun_at(job: &KubeJob) -> Option<Timestamp> {
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    started.or(job.metadata.creation_timestamp.as_ref()).map(|at| at.0)
}

/// By owner: a pod that only carries our labels is not the Job's.
fn belongs(pod: &Pod, job: &KubeJob) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
}

fn phase(job: &KubeJob, pods: &[&Pod]) -> Phase {
    if condition(job, "Complete").is_some() {
        return Phase::Complete;
    }
    if let Some(failed) = condition(job, "Failed") {
        return Phase::Failed(cause(failed, pods));
    }
    if condition(job, "Suspended").is_some() {
        return Phase::Suspended;
    }
    if pods.iter().any(|pod| pod_phase(pod) != "Pending") {
        return Phase::Running;
    }
    // On a lost node it stays for as long as the node is listed, and so would its Job.
    let mut going = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some());
    match going.find_map(|pod| disruption(pod)) {
        Some(why) => Phase::Evicted(Cause::Disruption(why)),
        None => Phase::Waiting(pods.iter().find_map(|pod| waiting(pod))),
    }
}

fn condition<'a>(job: &'a KubeJob, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

fn pod_phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Why a pod has not started: its image, or no node for it.
fn waiting(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let container =
        containers.iter().find_map(|container| container.state.as_ref()?.waiting.as_ref());
    if let Some(reason) = container.and_then(|waiting| waiting.reason.clone()) {
        return Some(reason);
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition.status == "False")
        .and_then(|condition| condition.reason.clone())
}

fn cause(failed: &JobCondition, pods: &[&Pod]) -> Cause {
    let ended = pods.iter().find_map(|pod| terminated(pod));
    if let Some(why) = pods.iter().find_map(|pod| disruption(pod)) {
        return Cause::Disruption(why);
    }
    match ended {
        Some(end) if end.reason.as_deref() == Some("OOMKilled") => {
            Cause::OutOfMemory(last_words(end))
        }
        Some(end) if Exit::from_code(end.exit_code) == Exit::OutOfMemory => {
            Cause::OutOfMemory(last_words(end))
        }
        Some(end) if failed.reason.as_deref() == Some("DeadlineExceeded") => {
            Cause::Trouble(format!("it took longer than its Job may; {}", last_words(end)))
        }
        Some(end) => Cause::Trouble(last_words(end)),
        None => {
            let reason = failed.reason.as_deref().unwrap_or("no reason given");
            match pods.iter().find_map(|pod| waiting(pod)) {
                Some(why) => Cause::NeverStarted(why),
                None => Cause::Trouble(format!("the Job failed: {reason}")),
            }
        }
    }
}

/// The exit code and what the attempt said last, which the kubelet takes from the end of its log
/// where it could not say it.
fn last_words(end: &ContainerStateTerminated) -> String {
    let message = end.message.as_deref().unwrap_or_default().trim();
    let beyond = message.chars().count().saturating_sub(LONGEST_WORDS);
    let tail: String = message.chars().skip(beyond).collect();
    format!("exit code {}: {tail}", end.exit_code)
}

/// Why it was evicted, drained or preempted, which is not the conversion's fault.
fn disruption(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let target = conditions
        .iter()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    let reason = target.reason.as_deref().unwrap_or("disrupted");
    Some(format!("{reason}: {}", target.message.as_deref().unwrap_or_default()))
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref()?;
    containers.iter().find_map(|container| container.state.as_ref()?.terminated.as_ref())
}

#[cfg(test)]
mod tests {
    use super::super::job::{ATTEMPT, CONVERSION};
    use super::*;
    use serde_json::json;

    fn kube_job(conditions: serde_json::Value) -> KubeJob {
        serde_json::from_value(json!({
            "metadata": {
                "name": "convert-x-1", "uid": "u1",
                "labels": { CONVERSION: "01890a5d-ac96-774b-bcce-b302099a8057", ATTEMPT: "1" },
            },
            // Counts that would mislead.
            "status": { "conditions": conditions, "failed": 1, "active": 0 },
        }))
        .unwrap()
    }

    fn pod(status: serde_json::Value) -> Arc<Pod> {
        let owner = json!([{ "apiVersion": "batch/v1", "kind": "Job", "name": "convert-x-1", "uid": "u1" }]);
        Arc::new(
            serde_json::from_value(
                json!({ "metadata": { "ownerReferences": owner }, "status": status }),
            )
            .unwrap(),
        )
    }

    fn terminated_pod(state: serde_json::Value) -> Arc<Pod> {
        pod(json!({ "phase": "Failed", "containerStatuses": [{
            "name": "converter-job", "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
            "state": { "terminated": state },
        }]}))
    }

    fn phase_of(conditions: serde_json::Value, pods: &[Arc<Pod>]) -> Phase {
        job(&kube_job(conditions), pods).unwrap().phase
    }

    const FAILED: &str =
        r#"[{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]"#;

    #[test]
    fn only_conditions_end_a_job() {
        assert_eq!(phase_of(json!([]), &[]), Phase::Waiting(None));
        assert_eq!(phase_of(json!([{"type": "Complete", "status": "True"}]), &[]), Phase::Complete);
        assert_eq!(
            phase_of(json!([{"type": "Complete", "status": "False"}]), &[]),
            Phase::Waiting(None)
        );
        assert_eq!(phase_of(json!([]), &[pod(json!({"phase": "Running"}))]), Phase::Running);
    }

    #[test]
    fn causes_are_told_apart() {
        let failed: serde_json::Value = serde_json::from_str(FAILED).unwrap();
        let killed =
            terminated_pod(json!({"exitCode": 137, "reason": "OOMKilled", "message": "words"}));
        let out_of_memory =
            |code| Phase::Failed(Cause::OutOfMemory(format!("exit code {code}: words")));
        assert_eq!(phase_of(failed.clone(), &[killed]), out_of_memory(137));
        let decoder = terminated_pod(json!({"exitCode": 76, "message": "words"}));
        assert_eq!(phase_of(failed.clone(), &[decoder]), out_of_memory(76));
        let plain = terminated_pod(json!({"exitCode": 137, "reason": "Error"}));
        assert!(matches!(phase_of(failed.clone(), &[plain]), Phase::Failed(Cause::Trouble(_))));
        let late: serde_json::Value =
            json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]);
        let ended = terminated_pod(json!({"exitCode": 75, "message": "interrupted"}));
        let Phase::Failed(Cause::Trouble(why)) = phase_of(late, &[ended]) else { panic!() };
        assert_eq!(why, "it took longer than its Job may; exit code 75: interrupted");
        let drained = pod(
            json!({"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True"}]}),
        );
        let drained = phase_of(failed.clone(), &[drained]);
        assert!(matches!(drained, Phase::Failed(Cause::Disruption(_))));
        let image = pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff"}},
        }]}));
        let never = Cause::NeverStarted("ImagePullBackOff".to_owned());
        assert_eq!(phase_of(failed, &[image]), Phase::Failed(never));
    }

    #[test]
    fn a_pod_that_is_taken_off_before_it_starts_will_not_start() {
        let conditions = json!([{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]);
        let taken_off = |deleted: Option<&str>, phase: &str| {
            let mut pod = (*pod(json!({"phase": phase, "conditions": conditions}))).clone();
            pod.metadata.deletion_timestamp = serde_json::from_value(json!(deleted)).unwrap();
            phase_of(json!([]), &[Arc::new(pod)])
        };
        let when = Some("2026-01-01T00:00:00Z");
        let why = "DeletionByTaintManager: ".to_owned();
        assert_eq!(taken_off(when, "Pending"), Phase::Evicted(Cause::Disruption(why)));
        assert_eq!(taken_off(when, "Running"), Phase::Running);
        assert!(matches!(taken_off(None, "Pending"), Phase::Waiting(_)));
    }

    #[test]
    fn a_bare_pod_with_our_labels_is_not_the_jobs() {
        let mut stranger = (*pod(json!({"phase": "Running"}))).clone();
        stranger.metadata.owner_references = None;
        assert_eq!(phase_of(json!([]), &[Arc::new(stranger)]), Phase::Waiting(None));
    }
}
