//! Memory does not grow with the size of a video, and little with its length.

use super::run::{film, ours};
use crate::{Result, report::Row};

const ARGUMENTS: [&str; 2] = ["--threads", "2"];

pub(crate) fn measure() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let peak = |name: &str, minutes: u32, pictures: &str| -> Result<f64> {
        let film = film(folder.path(), name, minutes, pictures)?;
        let peak = ours(&film, &ARGUMENTS)?.peak_mb;
        std::fs::remove_file(film)?;
        Ok(peak)
    };
    let (thin, thick) = (
        peak("thin.mp4", 10, "-c:v mpeg4 -b:v 500k -maxrate 500k -bufsize 500k")?,
        peak("thick.mp4", 10, "-c:v mpeg4 -b:v 8M -minrate 8M -maxrate 8M -bufsize 8M")?,
    );
    let small = "-c:v mpeg4 -s 160x90 -b:v 100k";
    let (one, three) = (peak("one.mp4", 60, small)?, peak("three.mp4", 180, small)?);
    Ok(vec![
        Row::of_pairs("10 minutes, 16 x the bit rate: peak", &[(thick, thin)], 1.05, "MB"),
        Row::of_limit("more for each hour of MP4", (three - one) / 2.0, 15.0, "MB"),
    ])
}
