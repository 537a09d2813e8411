//! The summary that `strace -c` writes.

/// How often each system call was made, the most frequent one first.
pub fn calls(summary: &str) -> Vec<(String, u64)> {
    let mut calls: Vec<(String, u64)> = summary.lines().filter_map(row).collect();
    calls.sort_by(|(_, left), (_, right)| right.cmp(left));
    calls
}

/// ` 41.90    0.215370           3     58437           recvfrom`; with a column of errors before the name if there were.
fn row(line: &str) -> Option<(String, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let name = *fields.last().filter(|_| matches!(fields.len(), 5 | 6))?;
    let is_row = fields.first()?.parse::<f64>().is_ok() && name != "total";
    is_row.then_some(())?;
    Some((name.to_owned(), fields.get(3)?.parse().ok()?))
}
