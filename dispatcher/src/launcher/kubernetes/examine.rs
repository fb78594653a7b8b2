//! What operators are told of the cluster: whether the dispatcher may do there what it does, and no more.
//! The API server judges what it is asked, and keeps nothing of it.

use super::{JobConfig, LeaseConfig, answered, connect, lease, try_job, unavailable};
use crate::launcher::Error;
use domain::Finding;
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};

/// A group, a resource of it, perhaps with its subresource, and verbs.
type Rights = (&'static str, &'static str, &'static [&'static str]);

/// A namespace, and one object in it or any.
type Place<'a> = (&'a str, Option<&'a str>);

/// Exactly what this folder asks of the API server.
const NEEDED: &[Rights] = &[
    ("batch", "jobs", &["create", "get", "list", "watch", "delete"]),
    ("", "pods", &["list", "watch"]),
    ("", "events", &["create"]),
];
/// The same of the Lease, where the dispatchers are.
const OF_LEASE: &[Rights] =
    &[("coordination.k8s.io", "leases", &["get", "list", "watch", "update"])];
const ANY_LEASE: &[Rights] = &[("coordination.k8s.io", "leases", &["create"])];
/// What a dispatcher never does, and what a stolen token of it could do harm with.
const TOO_MUCH: &[Rights] = &[
    ("", "secrets", &["get", "list"]),
    ("", "configmaps", &["update"]),
    ("", "pods", &["create"]),
    ("", "pods/exec", &["create"]),
    ("batch", "cronjobs", &["create"]),
    ("rbac.authorization.k8s.io", "rolebindings", &["create"]),
];
/// A pod that waits before its end without a shell.
const OLDEST_MINOR: u32 = 30;
const RIGHTS: &str = "rights in Kubernetes";

/// What there is to say of the cluster where Jobs as `config` has them are to run.
pub async fn examine(config: &JobConfig, lease: &LeaseConfig) -> Vec<Finding> {
    let asked = async {
        let client = connect().await?;
        let mut findings = vec![server(&client, &config.namespace).await?];
        let home = lease.namespace.as_deref().unwrap_or(client.default_namespace());
        findings.extend(rights(&client, &config.namespace, home).await?);
        findings.push(job(&client, config).await);
        Ok(findings)
    };
    asked.await.unwrap_or_else(|error: Error| {
        let fix = "name a kubeconfig in KUBECONFIG, and see that `kubectl version` answers with it";
        vec![Finding::fail("Kubernetes", error.to_string(), fix)]
    })
}

async fn server(client: &Client, namespace: &str) -> Result<Finding, Error> {
    let version = answered("version", client.apiserver_version()).await?.map_err(unavailable)?;
    let whoami = Api::<SelfSubjectReview>::all(client.clone());
    let asked = whoami.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let user = asked.ok().and_then(|it| it.status?.user_info?.username);
    let user = user.unwrap_or_else(|| "somebody".to_owned());
    let detail = format!("{} answers {user}, namespace {namespace}", version.git_version);
    let minor = version.minor.trim_end_matches('+').parse();
    Ok(if version.major == "1" && minor.is_ok_and(|minor: u32| minor < OLDEST_MINOR) {
        Finding::warn("Kubernetes", detail, format!("take 1.{OLDEST_MINOR} or newer"))
    } else {
        Finding::ok("Kubernetes", detail)
    })
}

async fn rights(client: &Client, namespace: &str, home: &str) -> Result<[Finding; 2], Error> {
    let mut missing = which(client, (namespace, None), NEEDED, false).await?;
    for (name, rights) in [(None, ANY_LEASE), (Some(lease::NAME), OF_LEASE)] {
        missing.extend(which(client, (home, name), rights, false).await?);
    }
    let missing = if missing.is_empty() {
        Finding::ok(RIGHTS, "all that a dispatcher needs")
    } else {
        let fix = "rbac.yaml in manifests/base/converter-job and manifests/base/dispatcher grants them: \
                   `kubectl apply -k` of your overlay";
        Finding::fail(RIGHTS, format!("it may not {}", missing.join(", ")), fix)
    };
    let beyond = which(client, (namespace, None), TOO_MUCH, true).await?;
    let what = "rights beyond those";
    let beyond = if beyond.is_empty() {
        Finding::ok(what, "none of those that do harm")
    } else {
        let fix = format!(
            "find what grants them (`kubectl -n {namespace} get rolebindings -o wide`, and \
             `clusterrolebindings`), and take it away; if this is not the dispatcher's account but yours, \
             use its token: `kubectl -n audio-converter create token dispatcher`"
        );
        Finding::warn(what, format!("whoever steals its token may {}", beyond.join(", ")), fix)
    };
    Ok([missing, beyond])
}

/// Those of these rights that we have, or those that we do not have.
async fn which(
    client: &Client,
    place: Place<'_>,
    rights: &[Rights],
    granted: bool,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (group, resource, verbs) in rights {
        for verb in *verbs {
            if may(client, place, (group, resource, verb)).await? == granted {
                found.push(format!("{verb} {resource}"));
            }
        }
    }
    Ok(found)
}

async fn may(
    client: &Client,
    (namespace, name): Place<'_>,
    (group, resource, verb): (&str, &str, &str),
) -> Result<bool, Error> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let deed = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: Some(subresource.to_owned()),
        verb: Some(verb.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: name.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(deed),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let asked = answered("review", reviews.create(&PostParams::default(), &question)).await?;
    Ok(asked.map_err(unavailable)?.status.is_some_and(|status| status.allowed))
}

async fn job(client: &Client, config: &JobConfig) -> Finding {
    let what = "a Job as ours";
    match try_job(&Api::namespaced(client.clone(), &config.namespace), config).await {
        Ok(()) => Finding::ok(what, format!("would be taken, with the image {}", config.image)),
        Err(error) => {
            let fix = "see that the namespace is there and that the ConfigMap converter-job-policy in it names \
                       this image and this Secret: `kubectl apply -k` of your overlay sets both";
            Finding::fail(what, error.to_string(), fix)
        }
    }
}
