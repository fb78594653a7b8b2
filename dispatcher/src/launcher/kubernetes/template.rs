//! What an operator adds to the pods of all Jobs: nodes, tolerations, classes, pull secrets, labels. It is
//! a pod template in a file, in YAML, merged with ours; where both say something, ours holds.

use k8s_openapi::{DeepMerge, api::core::v1::PodTemplateSpec};
use serde_json::Value;
use std::{fs, path::Path};

/// What the pods of all Jobs get beyond what we say.
#[derive(Clone, Debug, Default)]
pub struct JobTemplate(Box<PodTemplateSpec>);

/// Why a file is no pod template.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadTemplate(String);

impl JobTemplate {
    /// Reads it from a file.
    ///
    /// # Errors
    /// What is wrong with the file, down to a field that no pod template has.
    pub fn read(path: &Path) -> Result<Self, BadTemplate> {
        let unusable = |why: String| BadTemplate(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        text.parse().map_err(unusable)
    }

    /// The template of one Job's pod.
    pub(super) fn merged_with(&self, ours: PodTemplateSpec) -> PodTemplateSpec {
        let mut template = (*self.0).clone();
        template.merge_from(ours);
        template
    }
}

impl std::str::FromStr for JobTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if written.is_null() {
            return Ok(Self::default());
        }
        let read: PodTemplateSpec =
            serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
        let understood = serde_json::to_value(&read).map_err(|error| error.to_string())?;
        match lost(&written, &understood) {
            Some(field) => Err(format!("a pod template has no field {field}")),
            None => Ok(Self(Box::new(read))),
        }
    }
}

/// The path of a field that was written and not understood: a misspelt one would else be passed over.
fn lost(written: &Value, understood: &Value) -> Option<String> {
    let step = |name: String, (written, understood): (&Value, Option<&Value>)| match understood {
        None if written.is_null() => None,
        None => Some(name),
        Some(understood) => lost(written, understood).map(|rest| format!("{name}.{rest}")),
    };
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => written
            .iter()
            .find_map(|(name, value)| step(name.clone(), (value, understood.get(name)))),
        (Value::Array(written), Value::Array(understood)) => (0..)
            .zip(written)
            .find_map(|(at, value)| step(at.to_string(), (value, understood.get(at)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(theirs: &str, ours: Value) -> Value {
        let ours = serde_json::from_value(ours).unwrap();
        serde_json::to_value(theirs.parse::<JobTemplate>().unwrap().merged_with(ours)).unwrap()
    }

    #[test]
    fn what_an_operator_adds_stays_and_what_we_say_holds() {
        let theirs = "
metadata: {labels: {team: sound, app: other}}
spec:
  nodeSelector: {disk: fast}
  hostNetwork: true
  tolerations: [{key: spot, operator: Exists}]
  containers:
    - {name: converter-job, image: elsewhere, env: [{name: HTTPS_PROXY, value: p}]}
";
        let ours = json!({
            "metadata": { "labels": { "app": "converter-job" } },
            "spec": {
                "hostNetwork": false,
                "containers": [{ "name": "converter-job", "image": "i", "env": [{ "name": "A", "value": "1" }] }],
            },
        });
        let wanted = json!({
            "metadata": { "labels": { "app": "converter-job", "team": "sound" } },
            "spec": {
                "nodeSelector": { "disk": "fast" },
                "hostNetwork": false,
                "tolerations": [{ "key": "spot", "operator": "Exists" }],
                "containers": [{
                    "name": "converter-job", "image": "i",
                    "env": [{ "name": "HTTPS_PROXY", "value": "p" }, { "name": "A", "value": "1" }],
                }],
            },
        });
        assert_eq!(merged(theirs, ours), wanted);
    }

    #[test]
    fn an_empty_file_adds_nothing() {
        for text in ["", "# nothing\n", "{}", "spec:\n", "metadata:\n  labels: {}\n"] {
            let ours = json!({ "spec": { "containers": [] } });
            let merged = merged(text, ours);
            assert_eq!(merged["spec"], json!({ "containers": [] }), "{text}");
        }
    }

    #[test]
    fn a_misspelt_field_is_told() {
        for (text, told) in [
            ("spec: {nodeSelecter: {disk: fast}}", "no field spec.nodeSelecter"),
            ("specs: {}", "no field specs"),
            ("spec: {containers: [{name: a, img: b}]}", "no field spec.containers.0.img"),
            ("spec: 1", "invalid type"),
            ("spec: [", ""),
        ] {
            let fault = text.parse::<JobTemplate>().unwrap_err();
            assert!(fault.contains(told), "{text}: {fault}");
        }
    }
}
