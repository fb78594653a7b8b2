//! Jobs and the processes in them.

use super::{super::Choices, Flaw, World};
use crate::launcher::{Job, Phase, job_name};
use domain::{Cause, Change, Conversion, ConversionId, Mp3, Refused, Sha256};

/// One process of an attempt. It may outlive its Job, and an attempt may have two.
#[derive(Clone)]
pub(super) struct Pod {
    pub(super) job: String,
    conversion: ConversionId,
    attempt: u32,
    claim: Option<u32>,
    work_left: usize,
    pub(super) frozen: bool,
}

impl World {
    /// Whether there was room for it.
    pub(super) fn launch(&mut self, record: &Conversion) -> bool {
        let name = job_name(record.id, record.attempt);
        if self.jobs.contains_key(&name) {
            return true;
        }
        let (conversion, attempt) = (record.id, record.attempt);
        let alive = self.jobs.values().filter(|job| job.phase.is_alive()).count();
        if self.quota.is_some_and(|quota| quota <= alive) {
            let _ = self.change(conversion, &Change::NoRoom { attempt, why: "full".to_owned() });
            return false;
        }
        let phase = Phase::Suspended;
        let job = Job { name: name.clone(), conversion, attempt, created_at: self.now, phase };
        self.jobs.insert(name.clone(), job);
        if !self.has_kueue {
            self.admit(&name);
        }
        true
    }

    /// A Job that is held back begins.
    pub(super) fn admit(&mut self, name: &str) {
        let Some(job) = self.jobs.get_mut(name).filter(|job| job.phase == Phase::Suspended) else {
            return;
        };
        (job.phase, job.created_at) = (Phase::Waiting(None), self.now);
        let (name, conversion, attempt) = (job.name.clone(), job.conversion, job.attempt);
        // What an attempt has ahead follows from its number; some are started twice from one spec.
        let fate = self.uploads as usize + attempt as usize;
        for _ in 0..1 + usize::from(fate.is_multiple_of(4)) {
            let (job, work_left) = (name.clone(), fate % 3);
            self.pods.push(Pod { job, conversion, attempt, claim: None, work_left, frozen: false });
        }
    }

    /// A Job's room goes to another; its pods are told to end, and may be slow to do so.
    pub(super) fn suspend(&mut self, name: &str, with_pods: bool) {
        if let Some(job) = self.jobs.get_mut(name).filter(|job| job.phase.is_alive()) {
            job.phase = Phase::Suspended;
        }
        self.pods.retain(|pod| pod.job != name || !with_pods);
    }

    /// The Job goes at once, its pods when they notice; children die with their entry.
    pub(super) fn delete(&mut self, name: &str, with_pods: bool) {
        self.jobs.remove(name);
        if self.absent_is_dead || with_pods {
            self.pods.retain(|pod| pod.job != name);
        }
    }

    fn end(&mut self, at: usize, phase: Phase) {
        let pod = self.pods.swap_remove(at);
        if let Some(job) = self.jobs.get_mut(&pod.job).filter(|job| job.phase.is_alive()) {
            job.phase = phase;
        }
    }

    pub(super) fn step_pod(&mut self, choices: &mut Choices, faults: bool) {
        if self.pods.is_empty() {
            return;
        }
        let at = choices.below(self.pods.len());
        if faults && choices.one_in(8) {
            let cause = match choices.below(3) {
                0 => Cause::Trouble("killed".to_owned()),
                1 => Cause::OutOfMemory("killed for memory".to_owned()),
                _ => Cause::Disruption("drained".to_owned()),
            };
            return self.end(at, Phase::Failed(cause));
        }
        if faults && choices.one_in(6) {
            self.pods[at].frozen ^= true;
        }
        let pod = self.pods[at].clone();
        if pod.frozen {
            return;
        }
        let Some(claim) = pod.claim else {
            return self.claim(at, &pod);
        };
        if pod.work_left == 0 {
            return self.commit(at, &pod, claim, faults.then_some(choices));
        }
        self.pods[at].work_left -= 1;
        let progress = Change::Progress { claim, percent: Some(50), pace: None };
        if self.change(pod.conversion, &progress).is_err() {
            self.end(at, Phase::Complete);
        }
    }

    fn claim(&mut self, at: usize, pod: &Pod) {
        if let Some(job) = self.jobs.get_mut(&pod.job).filter(|job| job.phase.is_alive()) {
            job.phase = Phase::Running;
        }
        match self.change(pod.conversion, &Change::Claim { attempt: pod.attempt }) {
            Ok(record) => self.pods[at].claim = Some(record.claim),
            Err(_) => self.end(at, Phase::Complete),
        }
    }

    fn commit(&mut self, at: usize, pod: &Pod, claim: u32, faults: Option<&mut Choices>) {
        let fate = faults.map_or(9, |choices| choices.below(10));
        if !self.has(Flaw::CommitsBeforeStoring) {
            self.files.push((pod.conversion, claim));
        } else if fate < 2 {
            let _ = self.succeed(pod, claim);
        }
        if fate < 2 {
            // Killed between storing the MP3 and committing it.
            return self.end(at, Phase::Failed(Cause::Trouble("killed".to_owned())));
        }
        match self.succeed(pod, claim) {
            Ok(record) => self.must(record.claim == claim, || {
                format!(
                    "claim {claim} of {} has committed, the newest is {}",
                    record.id, record.claim
                )
            }),
            Err(_) => self.files.retain(|file| *file != (pod.conversion, claim)),
        }
        match fate {
            // Committed, and hangs before it ends.
            2 => self.pods[at].frozen = true,
            3 => self.end(at, Phase::Failed(Cause::Disruption("drained".to_owned()))),
            _ => self.end(at, Phase::Complete),
        }
    }

    /// Makes the MP3 of this claim the result.
    fn succeed(&mut self, pod: &Pod, claim: u32) -> Result<Conversion, Refused> {
        let id = pod.conversion.mp3(claim);
        let mp3 =
            Mp3 { id, length: 1, sha256: Sha256::from([1; 32]), duration_ms: 1, loudness: None };
        let newest = self.records.get(&pod.conversion).map_or(claim, |record| record.claim);
        let claim = if self.has(Flaw::CommitsWithoutClaim) { newest } else { claim };
        self.change(pod.conversion, &Change::Succeed { claim, mp3 })
    }
}
