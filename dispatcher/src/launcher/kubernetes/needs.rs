//! What one attempt is given: processor, memory and time, within what an operator allows.

use domain::{Coding, Conversion, Preset};

/// What an operator allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Processor time in thousandths of a core: of short work, and of long work that can be shared out.
    pub cpu_millis: (u32, u32),
    /// Memory in MiB: of a first attempt, and the most after one that ran out of it.
    pub memory_mib: (u32, u32),
    /// Of the node's disk in MiB: a converter keeps nothing there but its log.
    pub disk_mib: u32,
    /// Seconds that an attempt may run at most.
    pub run_limit_seconds: u64,
}

/// What one attempt is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// Thousandths of a core.
    pub(super) cpu_millis: u32,
    /// MiB.
    pub(super) memory_mib: u32,
    /// Seconds at work after which its Job is ended and another attempt made. Once an attempt has failed that
    /// is all that an operator allows.
    pub(super) deadline_seconds: u64,
}

/// A video above this is long work, where nothing was measured yet.
const LONG_BYTES: u64 = 64 << 20;
/// Work above this is long; less is done before more cores have helped.
const LONG_SECONDS: f64 = 10.0;
/// A first attempt may take so many times as long as is expected of it: beyond that it rather hangs,
const PATIENCE: f64 = 20.0;
/// and so many seconds in any case.
const SHORTEST_DEADLINE: u64 = 1800;
/// From here on frames take bits from one another, so that one thread makes them all.
const SERIAL_KBITS: u16 = 256;

impl Bounds {
    /// For an attempt that is expected to take so many seconds, from what earlier ones took.
    pub(super) fn needs(&self, record: &Conversion, expected: Option<f64>) -> Needs {
        let (cpu, most_cpu) = self.cpu_millis;
        let (memory, most_memory) = self.memory_mib;
        let long = expected.map_or(record.video_bytes > LONG_BYTES, |it| it > LONG_SECONDS);
        Needs {
            cpu_millis: if long && is_shared_out(record) { most_cpu.max(cpu) } else { cpu },
            memory_mib: match record.out_of_memory {
                true => memory.saturating_mul(2).min(most_memory).max(memory),
                false => memory,
            },
            deadline_seconds: match expected.filter(|_| record.failures == 0) {
                Some(seconds) => {
                    let patience = (seconds * PATIENCE) as u64;
                    patience.max(SHORTEST_DEADLINE).min(self.run_limit_seconds)
                }
                None => self.run_limit_seconds,
            },
        }
    }
}

/// Whether several threads can work on it.
fn is_shared_out(record: &Conversion) -> bool {
    let serial = matches!(record.options.coding(), Coding::Constant(rate) if rate >= SERIAL_KBITS);
    record.options.preset != Preset::Copy && !serial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use domain::{ConversionId, VideoId};
    use jiff::Timestamp;

    const BOUNDS: Bounds = Bounds {
        cpu_millis: (1000, 4000),
        memory_mib: (256, 1024),
        disk_mib: 64,
        run_limit_seconds: 3600,
    };

    fn record(video_bytes: u64) -> Conversion {
        let now = Timestamp::UNIX_EPOCH;
        let video = samples::video(VideoId::generate(), now);
        Conversion { video_bytes, ..samples::conversion(ConversionId::generate(), &video, now) }
    }

    #[test]
    fn long_work_gets_more_cores_if_it_can_use_them() {
        let cpu = |record: &Conversion, expected| BOUNDS.needs(record, expected).cpu_millis;
        let (short, long) = (record(1 << 20), record(1 << 30));
        assert_eq!([cpu(&short, None), cpu(&long, None)], [1000, 4000]);
        assert_eq!([cpu(&short, Some(60.0)), cpu(&long, Some(5.0))], [4000, 1000]);
        let mut copy = long.clone();
        copy.options.preset = Preset::Copy;
        let mut serial = long;
        serial.options.bit_rate = "320".parse().ok();
        assert_eq!([cpu(&copy, Some(60.0)), cpu(&serial, Some(60.0))], [1000, 1000]);
        assert!(serial.options.bit_rate.is_some());
    }

    #[test]
    fn a_first_attempt_that_takes_far_too_long_is_ended() {
        let deadline =
            |record: &Conversion, expected| BOUNDS.needs(record, expected).deadline_seconds;
        let (first, second) = (record(1), Conversion { failures: 1, ..record(1) });
        assert_eq!([None, Some(1.0)].map(|it| deadline(&first, it)), [3600, 1800]);
        assert_eq!([Some(120.0), Some(600.0)].map(|it| deadline(&first, it)), [2400, 3600]);
        assert_eq!(deadline(&second, Some(1.0)), 3600);
    }

    #[test]
    fn memory_doubles_once_and_within_its_bound() {
        let after = Conversion { out_of_memory: true, ..record(1) };
        assert_eq!(BOUNDS.needs(&record(1), None).memory_mib, 256);
        assert_eq!(BOUNDS.needs(&after, None).memory_mib, 512);
        let tight = Bounds { memory_mib: (256, 300), ..BOUNDS };
        assert_eq!(tight.needs(&after, None).memory_mib, 300);
    }
}
