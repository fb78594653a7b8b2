//! The faults: what each does, and when it is over. Parts and services come back after at most three
//! seconds, as a node that starts anew or a Deployment has it.

use crate::{Result, proxy::Proxy, stack::cluster::Cluster, told::Told, wait::pause};
use queue::{Message, Queue, VideoMessage};
use rand::{Rng, rngs::StdRng};
use serde_json::Value;
use std::{
    cell::RefCell,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

#[derive(Clone, Copy)]
enum Fault {
    /// A part of the cluster is killed.
    Part(&'static str),
    /// A service is killed.
    Service(&'static str),
    /// The dispatcher that acts is stopped, and goes on after at most 9 s: perhaps beside its successor.
    Freeze,
    /// The Job of a running pod is deleted.
    Job,
    /// A running pod is deleted without mercy.
    Pod,
    /// An attempt or a decoder is killed.
    Kill,
    /// An attempt or a decoder is stopped, and goes on after at most 15 s.
    Stop,
    /// A connection comes to harm.
    Link(fn(&Proxy, &mut StdRng)),
    /// The `video` message of any conversion is sent again.
    Repeat,
    /// A `video` message that names nothing is sent.
    Nonsense,
}

/// What can hit only while somebody converts, which is seldom: then it is half of what hits.
const OF_ATTEMPTS: [(&str, Fault); 4] = [
    ("job deleted", Fault::Job),
    ("pod deleted", Fault::Pod),
    ("converter killed", Fault::Kill),
    ("converter stopped", Fault::Stop),
];

const OTHERS: [(&str, Fault); 15] = [
    ("rabbitmq killed", Fault::Part("rabbitmq")),
    ("mongod killed", Fault::Part("mongod")),
    ("mariadb killed", Fault::Part("mariadb")),
    ("apiserver killed", Fault::Part("apiserver")),
    ("kubelet killed", Fault::Part("kubelet")),
    ("auth killed", Fault::Service("auth")),
    ("gateway killed", Fault::Service("gateway")),
    ("dispatcher killed", Fault::Service("dispatcher")),
    ("second dispatcher killed", Fault::Service("standby")),
    ("dispatcher frozen", Fault::Freeze),
    ("connections cut", Fault::Link(|proxy, _| proxy.cut())),
    ("connections slow", Fault::Link(|proxy, chance| proxy.slow(chance.random_range(500..20_000)))),
    (
        "connections reset",
        Fault::Link(|proxy, chance| proxy.reset_after(chance.random_range(0..5000))),
    ),
    ("message sent again", Fault::Repeat),
    ("nonsense sent", Fault::Nonsense),
];

/// What hits, whom, and what is known of it.
pub(super) struct Faults<'a> {
    pub(super) cluster: &'a mut Cluster,
    queue: &'a Queue,
    told: &'a Told,
    accepted: &'a RefCell<Vec<Value>>,
    chance: StdRng,
    /// Converters that are stopped; each ends when its own goes on.
    stopped: Vec<JoinHandle<()>>,
    /// What has hit, and after how many seconds.
    pub(super) hits: Vec<(u64, &'static str)>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(
        cluster: &'a mut Cluster,
        queue: &'a Queue,
        told: &'a Told,
        accepted: &'a RefCell<Vec<Value>>,
        chance: StdRng,
    ) -> Self {
        Self { cluster, queue, told, accepted, chance, stopped: Vec::new(), hits: Vec::new() }
    }

    /// One fault every two to five seconds; at the end everything is brought back.
    pub(super) async fn hit_for(&mut self, length: Duration) -> Result {
        let began = Instant::now();
        while began.elapsed() < length {
            let (name, fault) = self.choose();
            let next = Duration::from_millis(self.chance.random_range(2000..5000));
            let hit = Instant::now();
            if self.hit(fault).await? {
                self.hits.push((began.elapsed().as_secs(), name));
                pause(next.saturating_sub(hit.elapsed())).await;
            } else {
                // There was nobody to hit: another fault, soon.
                pause(Duration::from_millis(100)).await;
            }
            self.cluster.revive()?;
        }
        for going_on in self.stopped.drain(..) {
            going_on.await?;
        }
        self.cluster.restore().await
    }

    fn choose(&mut self) -> (&'static str, Fault) {
        let at_work = !self.cluster.converters().is_empty();
        let among = if at_work && self.chance.random() { &OF_ATTEMPTS[..] } else { &OTHERS[..] };
        among[self.chance.random_range(0..among.len())]
    }

    /// Whether it has hit.
    async fn hit(&mut self, fault: Fault) -> Result<bool> {
        match fault {
            Fault::Part(name) => {
                // One that has not come up again yet is not killed once more.
                let killed = self.cluster.site.part("kill", name).is_ok();
                self.away().await;
                self.cluster.site.part("start", name)?;
                Ok(killed)
            }
            Fault::Service(name) => {
                self.cluster.kill(name);
                self.away().await;
                self.cluster.revive()?;
                Ok(true)
            }
            Fault::Freeze => self.freeze().await,
            Fault::Job => Ok(self.delete(true)),
            Fault::Pod => Ok(self.delete(false)),
            Fault::Kill => Ok(self.converter().is_some_and(|id| signal("-KILL", id))),
            Fault::Stop => Ok(self.stop()),
            Fault::Link(harm) => self.harm(harm).await,
            Fault::Repeat => self.repeat().await,
            Fault::Nonsense => {
                let video_fid = format!("nonsense {}", self.chance.random::<u32>());
                let nonsense = video(None, video_fid);
                // It may arrive though nobody says so.
                self.told.nonsense(&nonsense.to_json()?)?;
                Ok(self.queue.publish(&nonsense).await.is_ok())
            }
        }
    }

    async fn away(&mut self) {
        pause(Duration::from_millis(self.chance.random_range(0..3000))).await;
    }

    fn delete(&mut self, job: bool) -> bool {
        let limit = "--request-timeout=5s";
        let running = ["get", "pods", "--field-selector=status.phase=Running", "-o", "name", limit];
        let pods = self.cluster.kubectl(&running, None).unwrap_or_default();
        let pods: Vec<_> = pods.lines().filter_map(|pod| pod.strip_prefix("pod/")).collect();
        let Some(pod) = one_of(&pods, &mut self.chance) else { return false };
        // A pod has its Job's name and five letters.
        let name = if job { pod.rsplit_once('-').map_or(pod, |(job, _)| job) } else { pod };
        let how: &[&str] = match job {
            true => &["delete", "job", name, "--wait=false", limit],
            false => &["delete", "pod", name, "--force", "--grace-period=0", "--wait=false", limit],
        };
        self.cluster.kubectl(how, None).is_ok()
    }

    /// An attempt or a decoder.
    fn converter(&mut self) -> Option<i32> {
        one_of(&self.cluster.converters(), &mut self.chance)
    }

    fn stop(&mut self) -> bool {
        let length = Duration::from_millis(self.chance.random_range(1000..15_000));
        let Some(id) = self.converter().filter(|id| signal("-STOP", *id)) else { return false };
        self.stopped.push(tokio::spawn(async move {
            pause(length).await;
            signal("-CONT", id);
        }));
        true
    }

    async fn freeze(&mut self) -> Result<bool> {
        let length = Duration::from_millis(self.chance.random_range(1000..9000));
        // Without an API server nobody tells who acts.
        let Ok([active, _]) = self.cluster.dispatchers() else { return Ok(false) };
        let hit = active.signal("-STOP").is_ok();
        pause(if hit { length } else { Duration::ZERO }).await;
        Ok(hit && active.signal("-CONT").is_ok())
    }

    async fn harm(&mut self, harm: fn(&Proxy, &mut StdRng)) -> Result<bool> {
        let mut links = self.cluster.links()?.all();
        links.retain(|(_, proxy)| proxy.open() > 0);
        let proxies: Vec<&Proxy> = links.into_iter().map(|(_, proxy)| proxy).collect();
        let Some(proxy) = one_of(&proxies, &mut self.chance) else { return Ok(false) };
        harm(proxy, &mut self.chance);
        pause(Duration::from_millis(self.chance.random_range(100..3000))).await;
        proxy.pass();
        Ok(true)
    }

    async fn repeat(&mut self) -> Result<bool> {
        let record = one_of(&self.accepted.borrow(), &mut self.chance);
        let Some(record) = record else { return Ok(false) };
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let message = video(Some(text("id").parse()?), text("video"));
        Ok(self.queue.publish(&message).await.is_ok())
    }
}

fn video(conversion: Option<domain::ConversionId>, video_fid: String) -> Message {
    Message::Video(VideoMessage { conversion, video_fid, username: None, trace: None })
}

fn one_of<T: Clone>(all: &[T], chance: &mut StdRng) -> Option<T> {
    (!all.is_empty()).then(|| all[chance.random_range(0..all.len())].clone())
}

/// Whether the process still was there.
fn signal(signal: &str, id: i32) -> bool {
    let mut kill = Command::new("kill");
    kill.args([signal, &id.to_string()]).stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success())
}
