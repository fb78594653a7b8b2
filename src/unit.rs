//! Numbers as people read them.

use jiff::Timestamp;
use std::{path::Path, time::Duration};

/// A file's path; what it may hold beside letters does nothing to a terminal.
pub(crate) fn path(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "?")
}

/// `4711` is `4.7 kB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = usize::from(unit > 0);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `61.5 s` is `1:02`; below a minute it is `1.5 s`.
pub(crate) fn time(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        return format!("{:.1} s", time.as_secs_f64());
    }
    clock(time.as_secs_f64().round() as u64)
}

/// `62` is `1:02`.
pub(crate) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// The age of what came at `then`.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    age(now.as_second() - then.as_second())
}

/// One figure, as in kubectl: `42s`, `7m`, `3h`, `12d`.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ ..120 => format!("{s}s"),
        s @ ..7_200 => format!("{}m", s / 60),
        s @ ..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(4_711_000), "4.7 MB");
        assert_eq!(time(Duration::from_millis(1_540)), "1.5 s");
        assert_eq!(time(Duration::from_millis(61_500)), "1:02");
        assert_eq!(time(Duration::from_secs(3_725)), "1:02:05");
        assert_eq!((age(-3), age(119), age(7_200)), ("0s".into(), "119s".into(), "2h".into()));
    }
}
