//! Rows: for people as a table, for programs as JSON.

use crate::Result;
use serde::Serialize;
use std::{fs, path::Path};

/// One figure and what it is held against.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ours: f64,
    /// The peer's figure; `None` where the goal is a plain limit.
    pub(crate) peer: Option<f64>,
    /// `ours / peer`.
    pub(crate) ratio: Option<f64>,
    /// Of the ratio, or of ours where there is no peer; not to be passed.
    pub(crate) goal: f64,
    pub(crate) unit: &'static str,
}

impl Row {
    /// Medians of interleaved pairs and the median of their ratios.
    pub(crate) fn of_pairs(
        name: &str,
        pairs: &[(f64, f64)],
        goal: f64,
        unit: &'static str,
    ) -> Self {
        let ratios = pairs.iter().map(|(ours, peer)| ours / peer).collect();
        Self {
            name: name.to_owned(),
            ours: median(pairs.iter().map(|pair| pair.0).collect()),
            peer: Some(median(pairs.iter().map(|pair| pair.1).collect())),
            ratio: Some(median(ratios)),
            goal,
            unit,
        }
    }

    /// A figure with a limit of its own.
    pub(crate) fn of_limit(name: &str, ours: f64, goal: f64, unit: &'static str) -> Self {
        Self { name: name.to_owned(), ours, peer: None, ratio: None, goal, unit }
    }

    /// A figure that is to be reached: as the share of it that is missing.
    pub(crate) fn of_floor(name: &str, ours: f64, goal: f64, unit: &'static str) -> Self {
        Self {
            peer: Some(goal),
            ratio: Some(goal / ours),
            goal: 1.0,
            ..Self::of_limit(name, ours, goal, unit)
        }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.ratio.unwrap_or(self.ours) <= self.goal
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints the table and writes the file.
pub(crate) fn write(name: &str, rows: &[Row]) -> Result {
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    eprintln!("{:<44} {:>10} {:>10} {:>7} {:>7}  unit", "", "ours", "peer", "ratio", "goal");
    for row in rows {
        eprintln!(
            "{:<44} {:>10} {:>10} {:>7} {:>7}  {}{}",
            row.name,
            number(Some(row.ours)),
            number(row.peer),
            number(row.ratio),
            number(Some(row.goal)),
            row.unit,
            if row.is_met() { "" } else { "  MISSED" }
        );
    }
    let folder = Path::new("target/bench");
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(rows)?)?;
    Ok(())
}
