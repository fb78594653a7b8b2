//! Looks at a store as it is, for operators, and changes nothing in it.

use crate::{embedded, mongo};
use domain::Finding;
use std::time::Duration;

/// Several times the least: time to do something.
const AMPLE: u64 = 5;
const GIB: f64 = (1_u64 << 30) as f64;
/// Clocks this far apart are told, as logs and dates no longer fit.
const APART: Duration = Duration::from_secs(1);
/// Beyond it, deadlines and tokens go wrong.
const TOO_FAR_APART: Duration = Duration::from_secs(5);

/// What there is to say of the store at `url`, whose disk needs `least` free bytes for an upload.
pub async fn examine(url: &str, least: u64) -> Vec<Finding> {
    match url.strip_prefix("file:") {
        Some(folder) => embedded::examine(folder.as_ref(), least).await,
        None => mongo::examine(url, least).await,
    }
}

/// Whether a disk with `free` bytes takes uploads.
pub(crate) fn disk(what: &str, free: u64, least: u64) -> Finding {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / GIB);
    let detail = format!("{} free; below {} no upload is taken", gib(free), gib(least));
    let fix = "free some, or take a larger disk; GATEWAY_MP3_RETENTION and GATEWAY_VIDEO_RETENTION \
               have old files deleted, GATEWAY_MIN_FREE_BYTES is the limit";
    match free {
        _ if free < least => Finding::fail(what, detail, fix),
        _ if free / AMPLE < least => Finding::warn(what, detail, fix),
        _ => Finding::ok(what, detail),
    }
}

/// How far this machine's clock and that of `whose` are apart.
pub(crate) fn clock(whose: &str, apart: Duration) -> Finding {
    let detail = format!("{:.1} s apart from that of {whose}", apart.as_secs_f64());
    let fix = format!(
        "have both set their clocks by the net: `timedatectl set-ntp true` here and on the machine \
         of {whose}; `chronyc tracking` tells which is wrong"
    );
    match apart {
        _ if apart > TOO_FAR_APART => Finding::fail("clock", detail, fix),
        _ if apart > APART => Finding::warn("clock", detail, fix),
        _ => Finding::ok("clock", detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Condition::{Fail, Ok, Warn};

    #[test]
    fn clocks_may_be_a_second_apart_and_must_not_be_five() {
        let state = |millis| clock("MongoDB", Duration::from_millis(millis)).state;
        assert_eq!([0, 1000, 1001, 5000, 5001].map(state), [Ok, Ok, Warn, Warn, Fail]);
    }

    #[test]
    fn a_disk_is_told_before_it_is_full() {
        let state = |free| disk("disk", free, 100).state;
        assert_eq!([99, 100, 499, 500].map(state), [Fail, Warn, Warn, Ok]);
    }
}
