//! A folder, for operators.

use crate::examine::disk;
use domain::Finding;
use std::path::Path;

/// Its records and its disk; where it is not there yet, the disk on which it will be.
pub(crate) async fn examine(folder: &Path, least: u64) -> Vec<Finding> {
    let records = sqlite::examine(&folder.join("records.sqlite")).await;
    let there = folder.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    let disk = match rustix::fs::statvfs(there) {
        Ok(found) => disk("disk", found.f_bavail.saturating_mul(found.f_frsize), least),
        Err(error) => {
            let detail = format!("{} cannot be asked: {error}", there.display());
            Finding::fail("disk", detail, "look at the kernel's log: `dmesg | tail`")
        }
    };
    vec![records, disk]
}
