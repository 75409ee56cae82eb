//! What every changelog keeps to, whoever wrote it: each row that is taken away was there, and the
//! two halves of an update follow each other, unless a filter has dropped one.

use std::collections::HashMap;

use corelane_server::ChangelogBatch;
use corelane_stream::RowKind;

use crate::harness::csv_lines;

/// `filtered` if there is a filter above what updates.
///
/// # Errors
/// With the first row that breaks a rule.
pub fn check(batches: &[ChangelogBatch], folded: &[String], filtered: bool) -> Result<(), String> {
    let mut live: HashMap<String, i64> = HashMap::new();
    // Halves of updates whose other half is in another batch.
    let mut open = 0i64;
    for (number, batch) in batches.iter().enumerate() {
        let lines = csv_lines(std::slice::from_ref(batch.rows()));
        let keys = key_columns(batch);
        let at = |row: usize| format!("row {row} of batch {number}: {} {}", batch.kind(row), lines[row]);
        for (row, line) in lines.iter().enumerate() {
            let count = live.entry(line.clone()).or_default();
            *count += if batch.kind(row).is_addition() { 1 } else { -1 };
            if *count < 0 {
                return Err(format!("a row is taken away that is not there, {}", at(row)));
            }
            if filtered {
                continue;
            }
            let before = row.checked_sub(1).map(|row| batch.kind(row));
            match (before, batch.kind(row)) {
                (Some(RowKind::UpdateBefore), RowKind::UpdateAfter) => {
                    if keys[row - 1] != keys[row] {
                        return Err(format!("an update changes its key, {}, {}", at(row - 1), at(row)));
                    }
                }
                (Some(RowKind::UpdateBefore), _) => return Err(format!("no +U follows {}", at(row - 1))),
                (None, RowKind::UpdateAfter) => open -= 1,
                (_, RowKind::UpdateAfter) => return Err(format!("no -U is before {}", at(row))),
                (_, _) => {}
            }
        }
        if !filtered && lines.len().checked_sub(1).is_some_and(|last| batch.kind(last) == RowKind::UpdateBefore) {
            open += 1;
        }
        if open < 0 {
            return Err(format!("no -U is before the first row of batch {number}"));
        }
    }
    if open != 0 {
        return Err(format!("{open} -U at the end of batches without a +U"));
    }
    let mut left: Vec<String> =
        live.into_iter().flat_map(|(line, count)| std::iter::repeat_n(line, count as usize)).collect();
    left.sort();
    if left != folded { Err("the changelog adds up to something else than the result".to_owned()) } else { Ok(()) }
}

/// The text of each row's grouping columns, as the queries of these tests name them.
fn key_columns(batch: &ChangelogBatch) -> Vec<String> {
    let schema = batch.rows().schema();
    let is_key = |name: &str| name == "ws" || name == "we" || name.starts_with('g');
    let places: Vec<usize> = (0..schema.fields().len()).filter(|place| is_key(schema.field(*place).name())).collect();
    csv_lines(&[batch.rows().project(&places).expect("columns of the batch")])
}
