//! Nodes that are better avoided. A node that is lost is `Ready` to the scheduler for most of a minute, and
//! the next attempt would be sent where the last one fell silent.

use super::job::CONVERSION;
use domain::ConversionId;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, PreferredSchedulingTerm, Toleration,
};
use std::{collections::BTreeSet, iter::repeat_n, sync::Arc};

/// The scheduler's names for a node that does not answer.
const LOST: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// A pod is taken off such a node after so long; Kubernetes itself gives it five minutes. Should its kubelet
/// only be away for a moment, the attempt goes on.
const LOST_SECONDS: i64 = 60;
/// As many are avoided at once.
const MOST: usize = 50;
/// The most that a wish can weigh.
const WEIGHT: i32 = 100;
/// So often it is wished: the scheduler adds up what is wished, and an operator may wish for the lost node.
const TIMES: usize = 5;

/// Where earlier attempts of this conversion were, and wherever a pod should be gone and is not.
pub(super) fn to_avoid(
    pods: &[Arc<Pod>],
    conversion: ConversionId,
    now: Timestamp,
) -> BTreeSet<String> {
    let id = conversion.to_string();
    let is_its = |pod: &Pod| {
        pod.metadata.labels.as_ref().and_then(|labels| labels.get(CONVERSION)) == Some(&id)
    };
    let is_overdue =
        |pod: &Pod| pod.metadata.deletion_timestamp.as_ref().is_some_and(|until| until.0 < now);
    let its = pods.iter().filter(|pod| is_its(pod));
    let suspect = its.chain(pods.iter().filter(|pod| is_overdue(pod)));
    let mut nodes = BTreeSet::new();
    for node in suspect.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()) {
        if nodes.len() < MOST {
            nodes.insert(node);
        }
    }
    nodes
}

/// Has the scheduler keep the pod off some nodes. It still may be there, where there is no other.
pub(super) fn keep_off(pod: &mut PodSpec, nodes: &BTreeSet<String>) {
    if nodes.is_empty() {
        return;
    }
    // One wish for them all: of several, whoever fulfils most of them is nearly as welcome.
    let others = nodes.iter().map(|node| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![node.clone()]),
    });
    let wish = PreferredSchedulingTerm {
        weight: WEIGHT,
        preference: NodeSelectorTerm {
            match_fields: Some(others.collect()),
            ..NodeSelectorTerm::default()
        },
    };
    let affinity = pod.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let wished = &mut affinity.preferred_during_scheduling_ignored_during_execution;
    wished.get_or_insert_default().extend(repeat_n(wish, TIMES));
}

/// Has the pod taken off a node that is lost, unless an operator has said how long it may stay.
pub(super) fn leave_lost(pod: &mut PodSpec) {
    let tolerations = pod.tolerations.get_or_insert_default();
    for key in LOST {
        if tolerations.iter().all(|it| it.key.as_deref() != Some(key)) {
            tolerations.push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(LOST_SECONDS),
                value: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(conversion: ConversionId, node: &str, deleted: Option<&str>) -> Arc<Pod> {
        let metadata = json!({
            "labels": {CONVERSION: conversion.to_string()}, "deletionTimestamp": deleted,
        });
        let pod = json!({"metadata": metadata, "spec": {"nodeName": node, "containers": []}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn where_it_was_and_where_pods_do_not_go() {
        let (mine, other) = (ConversionId::generate(), ConversionId::generate());
        let pods = [
            pod(mine, "its", None),
            pod(other, "fine", None),
            pod(other, "slow", Some("2026-01-01T00:00:10Z")),
            pod(other, "lost", Some("2026-01-01T00:00:00Z")),
        ];
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let avoided = to_avoid(&pods, mine, now);
        assert_eq!(avoided.into_iter().collect::<Vec<_>>(), ["its", "lost"]);
    }

    #[test]
    fn however_many_pods_do_not_go_its_own_node_is_avoided() {
        let (mine, other) = (ConversionId::generate(), ConversionId::generate());
        let overdue =
            |node: usize| pod(other, &format!("n{}", node / 4), Some("2026-01-01T00:00:00Z"));
        let mut pods: Vec<_> = (0..400).map(overdue).collect();
        pods.push(pod(mine, "its", None));
        let avoided = to_avoid(&pods, mine, "2026-01-01T00:00:05Z".parse().unwrap());
        assert_eq!(avoided.len(), MOST);
        assert!(avoided.contains("its"));
    }

    #[test]
    fn an_operator_may_say_how_long_a_pod_stays() {
        let own = json!([{"key": "gpu"}, {"key": LOST[0], "tolerationSeconds": 5}]);
        let own = json!({"containers": [], "tolerations": own});
        let mut pod: PodSpec = serde_json::from_value(own).unwrap();
        leave_lost(&mut pod);
        let said = |it: Toleration| (it.key.unwrap(), it.toleration_seconds);
        let said: Vec<_> = pod.tolerations.unwrap().into_iter().map(said).collect();
        let wanted = [("gpu", None), (LOST[0], Some(5)), (LOST[1], Some(LOST_SECONDS))];
        assert_eq!(said, wanted.map(|(key, seconds)| (key.to_owned(), seconds)));
    }

    #[test]
    fn an_operators_own_wishes_stay() {
        let own = json!({"containers": [], "affinity": {"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 1, "preference": {"matchExpressions": []}}]}}});
        let mut pod: PodSpec = serde_json::from_value(own).unwrap();
        keep_off(&mut pod, &BTreeSet::from(["gone".to_owned(), "lost".to_owned()]));
        let wishes = serde_json::to_value(&pod.affinity.unwrap().node_affinity).unwrap();
        let wishes = &wishes["preferredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(wishes[0]["weight"], 1);
        let others = |node| json!({"key": "metadata.name", "operator": "NotIn", "values": [node]});
        assert_eq!(wishes[1]["preference"]["matchFields"], json!([others("gone"), others("lost")]));
        assert_eq!((&wishes[1], wishes.as_array().unwrap().len()), (&wishes[TIMES], 1 + TIMES));
    }
}
