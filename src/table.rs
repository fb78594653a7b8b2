//! The one table of the program: aligned by characters, as kubectl shows things.

/// `rows` below `head`.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}   "));
        cells.collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let row = |name: &str| [name.to_owned(), "failed".to_owned()];
        let table = table(["NAME", "STATE"], vec![row("фильм.mp4"), row("a.mkv")]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines, ["NAME        STATE", "фильм.mp4   failed", "a.mkv       failed"]);
    }
}
