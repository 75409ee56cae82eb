//! The rows of benchmarks as files, for other engines to read: the same rows, in the same order.
//!
//! They are written by the engine itself, as Parquet and as CSV.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use corelane_server::RowsInMemory;

use crate::bids::{Bids, TABLE};
use crate::engine::{finish, refused, session};
use crate::measure::execute;
use crate::scaling::rows::parts;
use crate::scaling::workload::WORKLOADS;

/// Writes the bids of so many events, and each scenario's table at such a part of its usual size.
///
/// # Errors
/// If the folder cannot be written.
pub fn write_all(folder: &Path, events: u64, size: f64) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let bids = Bids::generate(events)?;
    write(folder, "bid", TABLE, "bid", &bids.dealt(1)?)?;
    // S3b reads what S3a does.
    for workload in WORKLOADS.iter().filter(|workload| workload.name != "S3b") {
        let rows = (workload.rows_per_worker as f64 * size) as u64;
        let rows = parts(workload.table, workload.times, 1, rows)?.source()?;
        write(folder, workload.name, workload.declaration, workload.table_name, &rows)?;
    }
    Ok(())
}

/// Writes one table in both formats.
fn write(folder: &Path, name: &str, declaration: &str, table: &str, rows: &RowsInMemory) -> Result<()> {
    let columns = columns(declaration).with_context(|| format!("{declaration} declares no columns"))?;
    for format in ["parquet", "csv"] {
        let path = folder.join(format!("{name}.{format}"));
        let mut session = session(1, &[])?;
        session.create_table(declaration, std::sync::Arc::new(rows.clone())).map_err(refused)?;
        let script = format!(
            "CREATE TABLE file ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = '{format}', \
             'sink.mode' = 'overwrite'); INSERT INTO file SELECT * FROM {table}",
            path.display()
        );
        let Some(job) = execute(&mut session, &script)? else { bail!("nothing was written") };
        let report = finish(job).with_context(|| format!("cannot write {}", path.display()))?;
        ensure!(report.rows_in == report.rows_out, "{} of {} rows were written", report.rows_out, report.rows_in);
        eprintln!("{}: {} rows", path.display(), report.rows_out);
    }
    Ok(())
}

/// What is between the brackets of a `CREATE TABLE`, without event time.
fn columns(declaration: &str) -> Option<&str> {
    let (_, inside) = declaration.split_once('(')?;
    let inside = inside.strip_suffix(')')?;
    Some(inside.split_once(", WATERMARK").map_or(inside, |(columns, _)| columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_declaration() {
        assert_eq!(
            columns("CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)"),
            Some("a INT, ts TIMESTAMP(3)")
        );
        assert_eq!(columns("CREATE TABLE t (a TIMESTAMP(3))"), Some("a TIMESTAMP(3)"));
        assert_eq!(columns("CREATE VIEW t"), None);
    }
}
