//! What the right to create Jobs is worth to whoever steals it: Jobs as the dispatcher's, and nothing else.

use crate::{
    Result,
    client::LONG,
    clips,
    judge::{Accepted, one_mp3_each},
    stack::{Stack, cluster::Cluster},
    wait,
};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

pub(super) async fn a_stolen_dispatcher_token_is_worth_little(stack: &mut Stack) -> Result {
    let user = stack.user("ada").await?;
    let clip = clips::clip(stack.folder(), 440, 2.0)?;
    let id = user.upload(&clip).await?;
    one_mp3_each(stack, &[Accepted { client: user, id: id.clone(), clip }]).await?;
    let (cluster, own) = (stack.cluster()?, format!("convert-{id}-1"));
    let job = cluster.kubectl(&["get", "job", &own, "-o", "json"], None)?;
    let job: Value = serde_json::from_str(&job)?;
    let pod = &job["spec"]["template"]["spec"];
    let legal = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "another" },
        "spec": {
            "backoffLimit": 0, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 60,
            "template": { "spec": pod },
        },
    });
    only_legal_jobs_pass(cluster, &legal)?;
    only_legal_pods_pass(cluster, pod)?;
    nothing_but_jobs_is_allowed(cluster, &own, &legal)
}

/// What makes a legal Job hostile: words of its refusal, where, a field there, and its value.
fn hostile() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let all = |words, at, fields: &[(&'static str, Value)]| {
        fields.iter().map(|(field, value)| (words, at, *field, value.clone())).collect::<Vec<_>>()
    };
    let (pod, container) = ("/spec/template/spec", "/spec/template/spec/containers/0");
    let stranger = json!({ "name": "other", "image": "i" });
    let secret = |secret: &str| json!({ "secretKeyRef": { "name": secret, "key": "STORAGE_URL" } });
    let volume = |kind: &str, source: Value| ("volumes", json!([{ "name": "tmp", kind: source }]));
    [
        all(
            "A Job here runs one pod",
            "/spec",
            &[
                ("activeDeadlineSeconds", Value::Null),
                ("ttlSecondsAfterFinished", Value::Null),
                ("backoffLimit", json!(6)),
                ("parallelism", json!(2)),
                ("completions", json!(100)),
            ],
        ),
        all(
            "has one container",
            pod,
            &[("initContainers", json!([stranger])), ("restartPolicy", json!("OnFailure"))],
        ),
        all("The image must be", container, &[("image", json!("elsewhere/miner:latest"))]),
        all(
            "starts as the image says",
            container,
            &[
                ("command", json!(["/bin/sh"])),
                ("args", json!(["decoder"])),
                ("args", Value::Null),
                ("lifecycle", json!({ "postStart": { "exec": { "command": ["/bin/sh"] } } })),
            ],
        ),
        all(
            "No Secret may be read",
            container,
            &[
                ("envFrom", json!([{ "secretRef": { "name": "gateway" } }])),
                ("env", json!([{ "name": "STORAGE_URL", "valueFrom": secret("gateway") }])),
                ("env", json!([{ "name": "LOG", "valueFrom": secret("converter-job") }])),
                (
                    "env",
                    json!([
                        { "name": "STORAGE_URL", "valueFrom": secret("converter-job") },
                        { "name": "LOG", "value": "$(STORAGE_URL)" },
                    ]),
                ),
            ],
        ),
        all(
            "Nothing may be mounted",
            pod,
            &[
                volume("hostPath", json!({ "path": "/" })),
                volume("secret", json!({ "secretName": "converter-job" })),
                volume("configMap", json!({ "name": "converter-job-policy" })),
                volume(
                    "projected",
                    json!({ "sources": [{ "serviceAccountToken": { "path": "token" } }] }),
                ),
                volume("persistentVolumeClaim", json!({ "claimName": "other" })),
                volume("emptyDir", json!({})),
            ],
        ),
        all(
            "No service account",
            pod,
            &[
                ("serviceAccountName", json!("dispatcher")),
                ("automountServiceAccountToken", json!(true)),
                ("automountServiceAccountToken", Value::Null),
            ],
        ),
        all(
            "Nothing of the node",
            pod,
            &[
                ("hostNetwork", json!(true)),
                ("hostPID", json!(true)),
                ("hostIPC", json!(true)),
                ("nodeName", json!("control-plane")),
                ("priorityClassName", json!("system-node-critical")),
                ("hostAliases", json!([{ "ip": "10.0.0.1", "hostnames": ["mongodb"] }])),
            ],
        ),
        all(
            "Nothing of the node",
            container,
            &[("ports", json!([{ "containerPort": 1, "hostPort": 1 }]))],
        ),
        all(
            "without root, privileges",
            "/spec/template/spec/containers/0/securityContext",
            &[
                ("allowPrivilegeEscalation", Value::Null),
                ("readOnlyRootFilesystem", json!(false)),
                ("capabilities", json!({ "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] })),
                ("capabilities", Value::Null),
                ("runAsUser", json!(0)),
                ("seccompProfile", json!({ "type": "Unconfined" })),
            ],
        ),
        all(
            "without root, privileges",
            "/spec/template/spec/securityContext",
            &[
                ("runAsUser", json!(0)),
                ("runAsNonRoot", Value::Null),
                ("seccompProfile", json!({ "type": "Unconfined" })),
            ],
        ),
        // The API server itself refuses one that is privileged and may not become so.
        all("privileged", container, &[("securityContext", json!({ "privileged": true }))]),
        all(
            "needs limits",
            "/spec/template/spec/containers/0/resources/limits",
            &[("cpu", Value::Null), ("memory", Value::Null), ("ephemeral-storage", Value::Null)],
        ),
    ]
    .concat()
}

fn changed(legal: &Value, at: &str, field: &str, value: &Value) -> Result<Value> {
    let mut job = legal.clone();
    let part = job.pointer_mut(at).and_then(Value::as_object_mut);
    let part = part.with_context(|| format!("{at} in {legal}"))?;
    match value {
        Value::Null => part.remove(field),
        value => part.insert(field.to_owned(), value.clone()),
    };
    Ok(job)
}

fn only_legal_jobs_pass(cluster: &Cluster, legal: &Value) -> Result {
    let create = |job: &Value| {
        let namespace = ["-n", &cluster.name, "create", "--dry-run=server", "-f", "-"];
        cluster.kubectl_as_dispatcher(&namespace, Some(&job.to_string()))
    };
    create(legal).context("a legal Job")?;
    for (field, value) in [
        ("nodeSelector", json!({ "disk": "fast" })),
        ("tolerations", json!([{ "key": "spot", "operator": "Exists" }])),
        ("imagePullSecrets", json!([{ "name": "registry" }])),
    ] {
        create(&changed(legal, "/spec/template/spec", field, &value)?).context(field)?;
    }
    for (words, at, field, value) in hostile() {
        let job = changed(legal, at, field, &value)?;
        let refused = create(&job).err().with_context(|| format!("{field}: {value} passes"))?;
        let refused = format!("{refused:#}");
        ensure!(refused.contains(words), "{field}: {value}: {refused}");
    }
    Ok(())
}

/// The same pod again may run, by an administrator's hand too, and no other.
fn only_legal_pods_pass(cluster: &Cluster, pod: &Value) -> Result {
    let legal = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "another" },
        "spec": pod,
    });
    let create = |pod: &Value| {
        cluster.kubectl(&["create", "--dry-run=server", "-f", "-"], Some(&pod.to_string()))
    };
    create(&legal).context("a legal pod")?;
    for (at, field, value) in [
        ("/spec/containers/0", "image", json!("elsewhere/miner:latest")),
        ("/spec", "hostNetwork", json!(true)),
        ("/spec/containers/0/securityContext", "privileged", json!(true)),
        ("/spec/securityContext", "runAsNonRoot", Value::Null),
    ] {
        ensure!(create(&changed(&legal, at, field, &value)?).is_err(), "{field}: {value} passes");
    }
    let weak = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "weak" },
        "spec": { "containers": [{ "name": "a", "image": "a" }] },
    });
    let refused = create(&weak).err().context("a pod with all rights passes")?;
    ensure!(format!("{refused:#}").contains("violates PodSecurity \"restricted"), "{refused:#}");
    Ok(())
}

/// The API server's answers to what else the dispatcher's token is tried on.
fn nothing_but_jobs_is_allowed(cluster: &Cluster, own: &str, legal: &Value) -> Result {
    let (jobs, services) = (cluster.name.as_str(), &cluster.services_namespace());
    let pods =
        cluster.kubectl(&["get", "pods", "-l", &format!("job-name={own}"), "-o", "name"], None)?;
    let pod = pods.trim();
    let forbidden = |arguments: &[&str], input: Option<&Value>| {
        let input = input.map(ToString::to_string);
        let said = cluster.kubectl_as_dispatcher(arguments, input.as_deref());
        let said =
            format!("{:#}", said.err().with_context(|| format!("{arguments:?} is allowed"))?);
        ensure!(said.contains("forbidden") || said.contains("Forbidden"), "{arguments:?}: {said}");
        Ok(())
    };
    for namespace in [jobs, services, "default", "kube-system"] {
        let get = |what: &str| forbidden(&["-n", namespace, "get", what], None);
        ["secrets", "configmaps", "serviceaccounts", "roles"].into_iter().try_for_each(get)?;
        let own_rights = ["-n", namespace, "create", "token", "dispatcher"];
        forbidden(&own_rights, None)?;
        if namespace != jobs {
            ["jobs", "pods"].into_iter().try_for_each(get)?;
            forbidden(&["-n", namespace, "create", "-f", "-"], Some(legal))?;
        }
    }
    ["nodes", "namespaces", "validatingadmissionpolicies"]
        .into_iter()
        .try_for_each(|what| forbidden(&["get", what], None))?;
    let here = ["-n", jobs];
    let patch = r#"{"spec":{"suspend":true}}"#;
    for arguments in [
        &["patch", "job", own, "-p", patch][..],
        &["delete", pod],
        &["debug", pod, "--image=elsewhere/miner", "--target=converter-job"],
        &["create", "configmap", "other"],
        &[
            "create",
            "rolebinding",
            "other",
            "--clusterrole=admin",
            "--serviceaccount=default:default",
        ],
        &["delete", "namespace", jobs],
        &["label", "namespace", jobs, "audio-converter.dev/only-"],
        &["delete", "validatingadmissionpolicybinding", "only-converter-job"],
    ] {
        forbidden(&[&here[..], arguments].concat(), None)?;
    }
    // As kubectl asks for them, if it does not find itself that the pod has ended.
    let pod = format!("/api/v1/namespaces/{jobs}/{}", pod.replacen("pod/", "pods/", 1));
    for way in ["exec?command=sh", "attach", "portforward?ports=1", "eviction"] {
        forbidden(&["create", "--raw", &format!("{pod}/{way}"), "-f", "-"], Some(&json!({})))?;
    }
    forbidden(&["get", "--raw", &format!("{pod}/log")], None)?;
    let stranger = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bare" },
        "spec": legal["spec"]["template"]["spec"],
    });
    forbidden(&["-n", jobs, "create", "-f", "-"], Some(&stranger))
}

pub(super) async fn a_job_that_no_policy_lets_pass_is_told_at_the_start(
    stack: &mut Stack,
) -> Result {
    let log = stack.folder().join("dispatcher.log");
    let cluster = stack.cluster_mut()?;
    let told = &mut cluster.dispatcher.settings;
    told.retain(|(name, _)| *name != "CONVERTER_IMAGE");
    told.push(("CONVERTER_IMAGE", "elsewhere/miner:latest".to_owned()));
    cluster.kill_dispatcher().await?;
    let code = wait::until("the dispatcher to end", LONG, async || cluster.dispatcher.exit_code());
    ensure!(code.await? == 1);
    let said = std::fs::read_to_string(log)?;
    ensure!(said.contains("refuses Jobs as ours") && said.contains("The image must be"), "{said}");
    Ok(())
}
