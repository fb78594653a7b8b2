//! The broker, for operators: whether it lets us in, and whether its queues are as ours. Nothing is made.

use super::{
    link,
    topology::{self, Queue},
};
use domain::Finding;
use lapin::{Connection, ErrorKind, uri::AMQPUri};

/// How a queue is.
enum Look {
    AsOurs { messages: u32, consumers: u32 },
    Missing,
    Otherwise(String),
    Forbidden(String),
}

/// What there is to say of the broker at `url`.
pub(crate) async fn examine(url: &str) -> Vec<Finding> {
    let Ok(uri) = url.parse::<AMQPUri>() else {
        let detail = "QUEUE_URL is not amqp://user:password@host:port/vhost";
        return vec![Finding::fail("RabbitMQ", detail, FIX)];
    };
    let uri = link::tuned(uri);
    let connection = match link::connect(&uri, "audio-converter doctor").await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::fail("RabbitMQ", error.to_string(), FIX)],
    };
    let place = format!("{}:{}", uri.authority.host, uri.authority.port);
    let detail = format!("{place} answers, virtual host {}", uri.vhost);
    let mut findings = vec![Finding::ok("RabbitMQ", detail)];
    for queue in Queue::all() {
        findings.extend(match link::set_up(look(&connection, queue)).await {
            Ok(look) => told(queue, look, &uri),
            Err(error) => Some(Finding::fail(what(queue), error.to_string(), FIX)),
        });
    }
    // What was to be said is said.
    let _ = connection.close(200, "done".into()).await;
    findings
}

const FIX: &str = "see that it runs and that this machine reaches it (from outside a cluster: `kubectl \
                   port-forward service/rabbitmq 5672`), and that host, account, password and virtual \
                   host (`%2f` is `/`) in QUEUE_URL are right";

async fn look(connection: &Connection, queue: Queue) -> lapin::Result<Look> {
    match topology::ask(connection, queue, true).await {
        Err(error) if code(&error) == Some(404) => return Ok(Look::Missing),
        Err(error) if code(&error) == Some(403) => return Ok(Look::Forbidden(error.to_string())),
        there => there?,
    };
    match topology::ask(connection, queue, false).await {
        Err(error) if code(&error) == Some(406) => Ok(Look::Otherwise(error.to_string())),
        Err(error) if code(&error) == Some(403) => Ok(Look::Forbidden(error.to_string())),
        same => same.map(|queue| Look::AsOurs {
            messages: queue.message_count(),
            consumers: queue.consumer_count(),
        }),
    }
}

/// None for a queue that may well be missing: it is made when the first message needs it.
fn told(queue: Queue, look: Look, uri: &AMQPUri) -> Option<Finding> {
    let (what, name, vhost) = (what(queue), queue.name(), &uri.vhost);
    let user = &uri.authority.userinfo.username;
    Some(match look {
        Look::AsOurs { messages, consumers } => {
            Finding::ok(what, format!("{messages} messages, {consumers} consumers"))
        }
        Look::Missing if !Queue::AT_START.contains(&queue) => return None,
        Look::Missing => {
            let fix = "start the dispatcher, which makes it: `kubectl rollout restart deployment/dispatcher`";
            Finding::warn(what, "it is missing", fix)
        }
        Look::Otherwise(why) => {
            let fix = format!(
                "take out what is in it that you need, and delete it: `rabbitmqctl delete_queue --vhost {vhost} \
                 {name}`; services make it anew, and announce again what is not done"
            );
            Finding::warn(what, format!("used as it is, though made otherwise: {why}"), fix)
        }
        Look::Forbidden(why) => {
            let fix = format!(
                "`rabbitmqctl set_permissions --vhost {vhost} {user} CONFIGURE WRITE READ` with the patterns of \
                 scripts/secrets"
            );
            Finding::fail(what, why, fix)
        }
    })
}

fn what(queue: Queue) -> String {
    format!("queue {}", queue.name())
}

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}
