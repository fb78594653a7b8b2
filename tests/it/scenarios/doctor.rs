//! What `doctor` finds on a cluster: nothing where all is well, and each fault with its fix.

use crate::{
    Result,
    client::LONG,
    process::program,
    stack::{Stack, cluster::Cluster},
    wait,
};
use anyhow::{Context, ensure};
use lapin::{
    Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use mongodb::bson::doc;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Command};

type Found = BTreeMap<String, Value>;

/// What must be well when the services run.
const WELL: [&str; 11] = [
    "Kubernetes",
    "rights in Kubernetes",
    "rights beyond those",
    "a Job as ours",
    "MongoDB",
    "clock",
    "indexes",
    "RabbitMQ",
    "queue video",
    "queue control",
    "accounts",
];

pub(super) async fn the_doctor_finds_each_fault_and_its_fix(stack: &mut Stack) -> Result {
    let queue = stack.queue_url();
    let cluster = stack.cluster_mut()?;
    let well = async || {
        let (code, found) = examine(cluster, &[])?;
        let well = WELL.iter().all(|what| found.get(*what).is_some_and(|it| it["state"] == "ok"));
        ensure!(code == 0 && well, "{code}: {found:#?}");
        Ok(true)
    };
    wait::until_true("all to be well", LONG, well).await?;
    what_is_away_or_refused(cluster)?;
    rights_of_the_cluster(cluster).await?;
    rights_of_the_database(cluster).await?;
    queues_of_others(cluster, &queue).await
}

/// What `doctor` finds with these settings beside the dispatcher's and auth's.
fn examine(cluster: &mut Cluster, settings: &[(&str, &str)]) -> Result<(i32, Found)> {
    let mut doctor = Command::new(program("audio-converter"));
    doctor.args(["doctor", "--json"]);
    for service in cluster.services() {
        doctor.envs(service.settings.iter().map(|(name, value)| (*name, value)));
    }
    let output = doctor.envs(settings.iter().copied()).output()?;
    let said = String::from_utf8(output.stdout)?;
    let found = said.lines().map(|line| {
        let finding: Value = serde_json::from_str(line)?;
        Ok((finding["what"].as_str().context("a name")?.to_owned(), finding))
    });
    Ok((output.status.code().unwrap_or(-1), found.collect::<Result<_>>()?))
}

fn has(found: &Found, what: &str, state: &str, detail: &str, fix: &str) -> Result {
    let it = found.get(what).with_context(|| format!("no {what} in {found:#?}"))?;
    let text = |key: &str| it[key].as_str().unwrap_or_default();
    let is = text("state") == state && text("detail").contains(detail) && text("fix").contains(fix);
    ensure!(is, "{it}");
    Ok(())
}

fn what_is_away_or_refused(cluster: &mut Cluster) -> Result {
    let away = [
        ("STORAGE_URL", "mongodb://127.0.0.1:1/records"),
        ("QUEUE_URL", "amqp://127.0.0.1:1/%2f"),
        ("AUTH_DATABASE_URL", "mysql://auth:hush@127.0.0.1:1/accounts"),
        ("KUBECONFIG", "/no/such/file"),
    ];
    let (code, found) = examine(cluster, &away)?;
    ensure!(code == 1 && found.len() >= away.len(), "{code}: {found:#?}");
    for (what, detail, fix) in [
        ("Kubernetes", "no cluster is known", "KUBECONFIG"),
        ("MongoDB", "refused", "port-forward service/mongodb"),
        ("RabbitMQ", "refused", "port-forward service/rabbitmq"),
        ("accounts", "refused", "port-forward service/mysql"),
    ] {
        has(&found, what, "fail", detail, fix)?;
    }
    let (code, found) = examine(cluster, &[("CONVERTER_IMAGE", "elsewhere/miner:1")])?;
    ensure!(code == 1, "{found:#?}");
    has(&found, "a Job as ours", "fail", "The image must be", "converter-job-policy")
}

/// One right too few and one too many.
async fn rights_of_the_cluster(cluster: &mut Cluster) -> Result {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let rules = json!([{ "op": "replace", "path": "/rules", "value": [
        rule("batch", "jobs", &["create", "get", "list", "watch"]),
        rule("", "pods", &["list", "watch"]),
        rule("", "events", &["create"]),
        rule("", "secrets", &["get"]),
    ]}]);
    let patch = ["patch", "role", "dispatcher", "--type=json", "-p", &rules.to_string()];
    cluster.kubectl(&patch, None)?;
    wait::until_true("the change to be told", LONG, async || {
        let (code, found) = examine(cluster, &[])?;
        ensure!(code == 1, "all seems well");
        let rbac = "rbac.yaml in manifests/base/converter-job";
        has(&found, "rights in Kubernetes", "fail", "it may not delete jobs", rbac)?;
        has(&found, "rights beyond those", "warn", "may get secrets", "get rolebindings")?;
        Ok(true)
    })
    .await
}

async fn rights_of_the_database(cluster: &mut Cluster) -> Result {
    let url = cluster.storage_url();
    let client = mongodb::Client::with_uri_str(&url).await?;
    let database = client.default_database().context("a database")?;
    let name = database.name().to_owned();
    let all = ["find", "insert", "update", "remove", "createIndex"];
    let privilege = |collection: &str, actions: &[&str]| {
        doc! { "resource": { "db": &name, "collection": collection }, "actions": actions }
    };
    let few = [privilege("", &all[..3]), privilege("", &all[4..]), privilege("videos", &all[3..4])];
    database
        .run_command(doc! { "createRole": "weak", "privileges": few.to_vec(), "roles": [] })
        .await?;
    database.run_command(doc! { "createUser": "weak", "pwd": "hush", "roles": ["weak"] }).await?;
    let weak = url.replace("mongodb://", "mongodb://weak:hush@");
    let (code, found) = examine(cluster, &[("STORAGE_URL", &weak)])?;
    ensure!(code == 1, "{found:#?}");
    let detail = "weak may not remove in conversions; remove in pending; remove in videos.files";
    let fix = format!(
        "db.getSiblingDB(\"{name}\").grantPrivilegesToRole(\"weak\", [{{resource: {{db: \"{name}\", \
         collection: \"conversions\"}}, actions: [\"remove\"]}}"
    );
    has(&found, "rights in MongoDB", "fail", detail, &fix)?;
    let rest = [privilege("", &["remove"])].to_vec();
    database.run_command(doc! { "grantPrivilegesToRole": "weak", "privileges": rest }).await?;
    let (_, found) = examine(cluster, &[("STORAGE_URL", &weak)])?;
    has(&found, "rights in MongoDB", "ok", "weak has what a dispatcher needs", "")?;
    database.run_command(doc! { "dropAllUsersFromDatabase": 1 }).await?;
    database.run_command(doc! { "dropAllRolesFromDatabase": 1 }).await?;
    Ok(())
}

/// One that is there and of another kind, and one that is not there.
async fn queues_of_others(cluster: &mut Cluster, url: &str) -> Result {
    cluster.kill("gateway");
    cluster.kill("dispatcher");
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for name in ["video", "control"] {
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
    }
    let durable = QueueDeclareOptions::durable();
    channel.queue_declare("video".into(), durable, FieldTable::default()).await?;
    connection.close(200, "done".into()).await?;
    let (_, found) = examine(cluster, &[])?;
    let fix = format!("`rabbitmqctl delete_queue --vhost {} video`", cluster.name);
    has(&found, "queue video", "warn", "inequivalent arg", &fix)?;
    has(&found, "queue control", "warn", "it is missing", "start the dispatcher")
}
