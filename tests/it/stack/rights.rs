//! The namespaces of one stack, as `manifests/` has them for everybody: one for the Jobs with its policy
//! and limits, and one for the services, where the dispatcher has the account that it works with.

use super::{links::kubeconfig, site::Site};
use crate::{Result, process::output_of};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base/converter-job");
/// The dispatcher's rights beside its services, to which Kustomize adds the namespace.
const LEASE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base/dispatcher/rbac.yaml"));
/// The Secret that Jobs read.
pub(super) const SECRET: &str = "converter-job";
/// Name of the file with the dispatcher's rights, in the stack's folder.
pub(super) const KUBECONFIG: &str = "dispatcher.kubeconfig";
const ACCOUNT: &str = "dispatcher";

/// The namespace of a stack's services.
pub(super) fn services(name: &str) -> String {
    format!("{name}-services")
}

/// Makes the namespaces of this name, in which Jobs of `image` may run and find their storage.
pub(super) fn make_namespaces(site: &Site, name: &str, image: &str, storage: &str) -> Result {
    let shipped = output_of(Command::new("kubectl").args(["kustomize", FOLDER]), None)?;
    let services = services(name);
    let ours = shipped
        .replace("audio-converter-jobs", name)
        .replace("namespace: audio-converter\n", &format!("namespace: {services}\n"))
        .replace("image: audio-converter/converter-job:latest\n", &format!("image: {image}\n"));
    // MongoDB is not where the policies of the network expect it.
    let kept = ours.split("---\n").filter(|part| !part.contains("kind: NetworkPolicy"));
    let metadata = |namespace: &str, name: &str| json!({ "namespace": namespace, "name": name });
    let more = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": services } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(&services, ACCOUNT) }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata(name, SECRET),
            "stringData": { "STORAGE_URL": storage } }),
    ];
    let more = more.iter().map(ToString::to_string);
    let place = format!("metadata:\n  namespace: {services}\n");
    let subject = format!("ServiceAccount\n    namespace: {services}\n");
    let lease = LEASE.replace("metadata:\n", &place).replace("ServiceAccount\n", &subject);
    let all: Vec<_> = kept.map(str::to_owned).chain(more).chain([lease]).collect();
    let mut apply = site.kubectl();
    apply.args(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
    output_of(&mut apply, Some(&all.join("\n---\n"))).map(drop)
}

/// Removes them. What holds for all namespaces stays.
pub(super) fn remove_namespaces(site: &Site, name: &str) -> Result {
    let mut delete = site.kubectl();
    delete.args(["delete", "namespace", name, &services(name), "--wait=false"]);
    output_of(&mut delete, None).map(drop)
}

/// A kubeconfig in `folder` with the dispatcher's rights and no others.
pub(super) fn of_dispatcher(site: &Site, name: &str, folder: &Path) -> Result<PathBuf> {
    let (mut config, _) = kubeconfig(site)?;
    let mut create = site.kubectl();
    create.args(["-n", &services(name), "create", "token", ACCOUNT, "--duration=24h"]);
    config["users"][0]["user"] = json!({ "token": output_of(&mut create, None)?.trim() });
    let path = folder.join(KUBECONFIG);
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
